"""Servers are announced while they listen (linkerd: linkerd/core/.../Announcer.scala)."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Final, NamedTuple

import gevent

from meshproxy.config.announcers import Announcement, AnnouncerConfig, AnnouncerDeps
from meshproxy.config.bases import Resolver
from meshproxy.config.schema import LinkerConfig
from meshproxy.discovery.interfaces import up_addresses
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from meshproxy.runtime.building import CannotStart, build

WITHDRAWAL_S: Final = 5.0
"""Longest time that a listener stays open so that its announcement can be withdrawn."""

_log = logging.getLogger(__name__)


class _Wanted(NamedTuple):
    """A name under which *announcer* is to publish the server at *ip* and *port*."""

    announcer: AnnouncerConfig
    name: Path
    ip: str
    port: int


class Announcing:
    """The announcements of one configuration after the other; those of both are kept."""

    def __init__(self, metrics: Tree) -> None:
        self._metrics = metrics
        self._running: dict[_Wanted, Announcement] = {}
        self._follow: Callable[[], None] = lambda: None
        self._is_paused = False

    def follow(
        self, config: LinkerConfig, ports: Mapping[str, Sequence[int]], resolver: Resolver
    ) -> None:
        """Announces what *config* says, with *ports* by router and server, and nothing else."""
        self._follow = partial(self._announce_only, dict.fromkeys(_wanted(config, ports)), resolver)
        if not self._is_paused:
            self._follow()

    def pause(self) -> None:
        """Withdraws all announcements until `resume`; waits as `close` does."""
        self._is_paused = True
        self.close()

    def resume(self) -> None:
        """Announces what was to be followed last."""
        self._is_paused = False
        self._follow()

    def close(self) -> None:
        """Withdraws all announcements; waits for that, for `WITHDRAWAL_S` at most."""
        self._withdraw(list(self._running))

    def _announce_only(self, wanted: Mapping[_Wanted, None], resolver: Resolver) -> None:
        self._withdraw(self._running.keys() - wanted)
        for one in wanted:
            if one not in self._running:
                self._announce(one, resolver)

    def _announce(self, wanted: _Wanted, resolver: Resolver) -> None:
        config = wanted.announcer
        prefix = config.full_prefix()
        deps = AnnouncerDeps(
            metrics=self._metrics.scope("announcer", prefix.show()[1:]), resolver=resolver
        )
        endpoints = [(host, wanted.port) for host in _hosts(wanted.ip)]
        try:
            announcer = build(config, "announcers", lambda: deps)
            announcement = announcer.announce(wanted.name.drop(len(prefix)), endpoints)
        except CannotStart as error:
            _log.error("%s is not announced: %s", wanted.name.show(), error)
        else:
            self._running[wanted] = announcement

    def _withdraw(self, gone: Collection[_Wanted]) -> None:
        closing = [gevent.spawn(self._running.pop(one).close) for one in gone]
        gevent.joinall(closing, timeout=WITHDRAWAL_S)


def _wanted(config: LinkerConfig, ports: Mapping[str, Sequence[int]]) -> Iterator[_Wanted]:
    for router in config.routers:
        for server, port in zip(router.servers, ports[router.name], strict=True):
            for name in server.announce or ():
                announcer = router.announcer_of(name)
                if announcer is not None:
                    yield _Wanted(announcer, name, server.ip, port)


def _hosts(ip: str) -> list[str]:
    """Returns the addresses at which others reach a server that listens on *ip*."""
    if not ip_address(ip).is_unspecified:
        return [ip]
    found = sorted(host for host in up_addresses() if not ip_address(host).is_loopback)
    if not found:
        _log.warning("a server on %s is not announced, no interface but loopback is up", ip)
    return found
