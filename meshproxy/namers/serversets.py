"""Serversets in ZooKeeper: io.l5d.serversets.

linkerd: namer/serversets/.../ServersetNamer.scala; finagle-serversets: .../serverset2/*.scala
"""

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias

from meshproxy.config.bases import NamerConfig, NamerDeps
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.config.zookeeper import ZkAddrConfig, problems
from meshproxy.discovery.members import Members
from meshproxy.discovery.zookeeper.membership import Found, Membership, Segments
from meshproxy.namers.zookeeper import NodeNamer, nodes_at
from meshproxy.naming.addr import Address
from meshproxy.naming.path import Path

_SPEC: Final = re.compile(r"([^:#]+)(?::([^:#]+))?(?:#(-?\d{1,9}))?", re.ASCII)

HostPort: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint that is alive."""

    service: HostPort
    additional: Mapping[str, HostPort]
    shard: int | None

    def endpoint(self, name: str | None) -> HostPort | None:
        """Returns where it serves under that name, or as such without one."""
        return self.service if name is None else self.additional.get(name)


class Weighing(NamedTuple):
    """The weight of the members that it selects."""

    by: str
    """`inet`, `member` or `shard`."""
    value: str
    weight: float

    def selects(self, name: str, shard: int | None, at: HostPort) -> bool:
        """Returns True if it applies to the member *name*, which serves *at*."""
        match self.by:
            case "member":
                return self.value == name
            case "shard":
                return self.value == str(shard)
            case _:
                return self.value == f"{at[0]}:{at[1]}"


Vector: TypeAlias = tuple[Weighing, ...]
"""What one `vector_` node says of weights."""


def read(name: str, data: bytes) -> Member | Vector | None:
    """Reads a member or a vector; None if it is not alive, or none at all."""
    try:
        sent = json.loads(data)
        return _vector(sent) if name.startswith("vector_") else _member(sent)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _member(sent: Any) -> Member | None:
    if sent["status"] != "ALIVE":
        return None
    additional = sent.get("additionalEndpoints") or {}
    shard = sent.get("shard")
    return Member(
        _host_port(sent["serviceEndpoint"]),
        {str(name): _host_port(one) for name, one in additional.items()},
        shard if isinstance(shard, int) else None,
    )


def _host_port(sent: Any) -> HostPort:
    host, port = sent["host"], sent["port"]
    if not (isinstance(host, str) and host and isinstance(port, int) and 0 < port < 65536):
        raise ValueError("no host and port")
    return host, port


def _vector(sent: Any) -> Vector:
    return tuple(filter(None, map(_weighing, sent["vector"])))


def _weighing(sent: Any) -> Weighing | None:
    by, equals, value = str(sent.get("select")).partition("=")
    weight = sent.get("weight", 1.0)
    if by not in ("inet", "member", "shard") or not equals or isinstance(weight, bool):
        return None
    if not isinstance(weight, int | float) or not 0 <= weight < math.inf:
        return None
    return Weighing(by, value, float(weight))


def choose(_: Segments, children: Sequence[str]) -> Collection[str]:
    """Returns the members and the vectors among *children*."""
    return [name for name in children if name.startswith(("member_", "vector_"))]


def shorten(segment: str) -> str:
    """Returns the name of the node that a segment `name[:endpoint][#shard]` means."""
    spec = _SPEC.fullmatch(segment)
    return spec[1] if spec is not None else segment


def members(segment: str, found: Found[Member | Vector]) -> Members:
    """Returns the endpoints that *segment* wants of a serverset, weighed by all its vectors."""
    spec = None if segment == found.name else _SPEC.fullmatch(segment)
    endpoint, shard = (spec[2], spec[3]) if spec is not None else (None, None)
    weighings = [one for each in found.members.values() if isinstance(each, tuple) for one in each]
    listed = []
    for name, member in found.members.items():
        if not isinstance(member, Member) or (shard is not None and member.shard != int(shard)):
            continue
        at = member.endpoint(endpoint)
        if at is not None:
            applying = (one.weight for one in weighings if one.selects(name, member.shard, at))
            listed.append(Address(*at, math.prod(applying, start=1.0)))
    return Members.of(listed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServersetsNamerConfig(NamerConfig):
    """Serversets by the paths of their nodes; the last segment may be `name:endpoint#shard`."""

    kind: ClassVar[str] = "io.l5d.serversets"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.serversets")
    zk_addrs: tuple[ZkAddrConfig, ...] = key(doc="The servers of the ensemble.")

    def check(self) -> Iterable[Problem]:
        """Requires servers, and addresses that can be asked."""
        yield from problems(self.zk_addrs)

    def build(self, deps: NamerDeps) -> NodeNamer[Member | Vector]:
        """Returns the namer."""
        servers = [(one.host, one.port) for one in self.zk_addrs]
        membership: Membership[Member | Vector] = Membership(choose, read)
        nodes = nodes_at(servers, deps.resolver.resolve, membership, deps.metrics)
        return NodeNamer(deps.prefix, nodes, members, deps.resolver.resolve, shorten=shorten)
