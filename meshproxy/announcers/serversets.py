"""Servers as members of serversets in ZooKeeper: io.l5d.serversets.

linkerd: announcer/serversets/.../*.scala; finagle-serversets: .../zookeeper/ZkAnnouncer.scala
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.announcers import Announcement, AnnouncerConfig, AnnouncerDeps
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.config.zookeeper import ZkAddrConfig, problems
from meshproxy.naming.path import Path


class ServersetsAnnouncer:
    """Announces names as nodes below *base*, each in a session of its own with *servers*."""

    def __init__(self, servers: Sequence[tuple[str, int]], base: Path, deps: AnnouncerDeps) -> None:
        self._servers = servers
        self._base = base
        self._deps = deps

    def announce(self, name: Path, endpoints: Sequence[tuple[str, int]]) -> Announcement:
        """Adds a member for each of *endpoints* to the serverset *name*."""
        from meshproxy.discovery.zookeeper.ensemble import new_ensemble  # noqa: PLC0415 (extra)
        from meshproxy.discovery.zookeeper.registration import Registration  # noqa: PLC0415 (extra)

        segments = [segment.decode("utf-8", "replace") for segment in self._base + name]
        ensemble = new_ensemble(self._servers, self._deps.resolver.resolve)
        members = [member(host, port) for host, port in endpoints]
        return Registration(ensemble, "/" + "/".join(segments), members, self._deps.metrics)


def member(host: str, port: int) -> bytes:
    """Returns the data of a member that serves at *port* of *host*."""
    said = {
        "serviceEndpoint": {"host": host, "port": port},
        "additionalEndpoints": {},
        "status": "ALIVE",
        "shard": 0,
    }
    return json.dumps(said).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServersetsAnnouncerConfig(AnnouncerConfig):
    """Makes servers members of serversets in ZooKeeper for as long as they listen."""

    kind: ClassVar[str] = "io.l5d.serversets"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.serversets")
    zk_addrs: tuple[ZkAddrConfig, ...] = key(doc="The servers of the ensemble.")
    path_prefix: Path = key(
        default=Path.of("discovery"), doc="The node below which the serversets are."
    )

    def check(self) -> Iterable[Problem]:
        """Yields a problem if there are no servers, or if they cannot be asked."""
        yield from problems(self.zk_addrs)

    def build(self, deps: AnnouncerDeps) -> ServersetsAnnouncer:
        """Returns the announcer."""
        servers = [(one.host, one.port) for one in self.zk_addrs]
        return ServersetsAnnouncer(servers, self.path_prefix, deps)
