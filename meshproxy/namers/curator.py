"""Services that Curator registers in ZooKeeper: io.l5d.curator.

linkerd: namer/curator/.../*.scala; curator-x-discovery: ServiceInstance.java
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from meshproxy.config.bases import NamerConfig, NamerDeps
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.config.zookeeper import ZkAddrConfig, problems
from meshproxy.discovery.members import Members
from meshproxy.discovery.zookeeper.membership import Found, Membership, Segments
from meshproxy.namers.zookeeper import NodeNamer, nodes_at
from meshproxy.naming.addr import Address
from meshproxy.naming.path import Path


def read(_: str, data: bytes) -> Address | None:
    """Reads an instance; its port for TLS goes before the other. None if it has none."""
    try:
        sent: Any = json.loads(data)
        host, port = sent["address"], sent.get("sslPort") or sent["port"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    if not (isinstance(host, str) and host and isinstance(port, int) and 0 < port < 65536):
        return None
    return Address(host, port)


def members(_: str, found: Found[Address]) -> Members:
    """Returns the instances that were found."""
    return Members.of(found.members.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class CuratorNamerConfig(NamerConfig):
    """Services that Curator registers, by `/service`."""

    kind: ClassVar[str] = "io.l5d.curator"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.curator")
    requires_experimental: ClassVar[bool] = True
    zk_addrs: tuple[ZkAddrConfig, ...] = key(doc="The servers of the ensemble.")
    base_path: Path = key(default=Path(), doc="The node that has a child for each service.")

    def check(self) -> Iterable[Problem]:
        """Requires servers, and addresses that can be asked."""
        yield from problems(self.zk_addrs)

    def build(self, deps: NamerDeps) -> NodeNamer[Address]:
        """Returns the namer."""
        base = tuple(segment.decode("utf-8", "replace") for segment in self.base_path)

        def choose(node: Segments, children: Sequence[str]) -> Collection[str]:
            return children if len(node) == len(base) + 1 and node[:-1] == base else ()

        servers = [(one.host, one.port) for one in self.zk_addrs]
        nodes = nodes_at(servers, deps.resolver.resolve, Membership(choose, read), deps.metrics)
        return NodeNamer(deps.prefix, nodes, members, deps.resolver.resolve, base=base, length=1)
