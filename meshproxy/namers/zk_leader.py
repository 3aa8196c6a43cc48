"""The leader of a group in ZooKeeper: io.l5d.zkLeader, and /$/io.buoyant.namer.zk.leader.

linkerd: namer/zk-leader/.../*.scala; twitter commons: zookeeper/.../{Group,CandidateImpl}.java
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

from meshproxy.config.bases import NamerConfig, NamerDeps
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.config.zookeeper import CLIENT_MISSING, WholeZkAddrConfig, has_client, problems
from meshproxy.discovery.members import Members, Resolve
from meshproxy.discovery.zookeeper.membership import Found, Membership, Segments
from meshproxy.metrics.tree import Tree
from meshproxy.namers.zookeeper import NodeNamer, nodes_at
from meshproxy.naming.addr import Address
from meshproxy.naming.bound import ChosenBy
from meshproxy.naming.namer import Lookup
from meshproxy.naming.path import Path

MAX_ENSEMBLES: Final = 16
"""Ensembles that names under `/$/` may have sessions with at a time."""
LEADER: Final = "io.buoyant.namer.zk.leader"
_MEMBER: Final = re.compile(r"member_-?[0-9]+", re.ASCII)
_HOST_PORT: Final = re.compile(r"(\[[^\]\s]+\]|[^:\s]+):(\d{1,5})", re.ASCII)

Addresses: TypeAlias = tuple[Address, ...]


def choose(_: Segments, children: Sequence[str]) -> Collection[str]:
    """Returns the leader among *children*, the first member by its text."""
    candidates = [name for name in children if _MEMBER.fullmatch(name)]
    return [min(candidates)] if candidates else []


def read(_: str, data: bytes) -> Addresses | None:
    """Reads the addresses of a leader, separated by commas or spaces; None if there is none."""
    words = re.split(r"[,\s]+", data.decode("utf-8", "replace"))
    return tuple(Address(*one) for one in map(host_port, words) if one is not None) or None


def host_port(text: str) -> tuple[str, int] | None:
    """Reads `host:port`; None if it is something else."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or not 0 < int(match[2]) < 65536:
        return None
    return match[1], int(match[2])


def members(_: str, found: Found[Addresses]) -> Members:
    """Returns the addresses of the leader that was found."""
    return Members.of([one for each in found.members.values() for one in each])


def leader_namer(
    prefix: Path,
    servers: Iterable[tuple[str, int]],
    resolve: Resolve,
    metrics: Tree,
    chosen_by: ChosenBy = ChosenBy.NAMER,
) -> NodeNamer[Addresses]:
    """Returns the namer of the leaders in one ensemble."""
    nodes = nodes_at(servers, resolve, Membership(choose, read), metrics)
    return NodeNamer(prefix, nodes, members, resolve, chosen_by=chosen_by)


class Leaders:
    """Names `/$/io.buoyant.namer.zk.leader/<host:port[::host:port...]>/<path of the group>`."""

    def __init__(self, resolve: Resolve, metrics: Tree) -> None:
        self._resolve = resolve
        self._metrics = metrics
        self._namers: dict[Path, NodeNamer[Addresses]] = {}

    def lookup(self, path: Path) -> Lookup:
        """Answers for what follows `/$`. Raises ValueError when that names no group."""
        if not has_client():
            raise ValueError(CLIENT_MISSING)
        if len(path) < 3:
            raise ValueError("write the servers of an ensemble and a path")
        named = path.take(2)
        namer = self._namers.get(named) or self._begin(named)
        return namer.lookup(path.drop(2))

    def _begin(self, named: Path) -> NodeNamer[Addresses]:
        servers = [host_port(one) for one in named[1].decode("latin-1").split("::")]
        known = [one for one in servers if one is not None]
        if len(known) < len(servers):
            raise ValueError("write servers as host:port::host:port")
        used = {name: namer for name, namer in self._namers.items() if not namer.nodes.is_idle}
        self._namers = used
        if len(used) >= MAX_ENSEMBLES:
            raise ValueError(f"{MAX_ENSEMBLES} ensembles are in use already")
        prefix = Path.of("$") + named
        namer = leader_namer(prefix, known, self._resolve, self._metrics, ChosenBy.REQUEST)
        used[named] = namer
        return namer


@dataclass(frozen=True, slots=True, kw_only=True)
class ZkLeaderNamerConfig(NamerConfig):
    """The leaders of groups, by the paths of the groups."""

    kind: ClassVar[str] = "io.l5d.zkLeader"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.zkLeader")
    zk_addrs: tuple[WholeZkAddrConfig, ...] = key(doc="The servers of the ensemble.")

    def check(self) -> Iterable[Problem]:
        """Requires servers, and addresses that can be asked."""
        yield from problems(self.zk_addrs)

    def build(self, deps: NamerDeps) -> NodeNamer[Addresses]:
        """Returns the namer."""
        servers = [(one.host, one.port) for one in self.zk_addrs]
        return leader_namer(deps.prefix, servers, deps.resolver.resolve, deps.metrics)
