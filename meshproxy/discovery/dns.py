"""Resolves host names to addresses that follow DNS (finagle: InetResolver.scala, with real TTLs).

One shared Source per name: it looks up while it is observed, keeps the last good answer if servers
fail, and becomes empty at once if the name no longer exists.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from gevent.lock import BoundedSemaphore

from meshproxy.discovery.dns_lookup import DnsSettings, Lookup
from meshproxy.discovery.dns_name import DnsName, addresses_of
from meshproxy.discovery.dns_query import Answer, QueryFailed, Server
from meshproxy.discovery.hostname import literal, why_refused
from meshproxy.discovery.resolv_conf import has_global_ipv6
from meshproxy.log_once import LogOnce
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import (
    Addr,
    AddrBound,
    AddrFailed,
    settled,
)
from meshproxy.naming.followed import Followed
from meshproxy.naming.services import Services
from meshproxy.var import Ok, Var, wait

MAX_LOOKUPS: Final = 100
MAX_NAMES: Final = 1000
IDLE_S: Final = 600.0
MIN_NEGATIVE_TTL_S: Final = 1.0

A = TypeVar("A", bound=Addr)

log_once = LogOnce(logging.getLogger(__name__))


class DnsResolver:
    """Resolves hosts, and keeps them resolved while they are in use.

    At most 100 lookups run at once; the others queue. The last thousand names that are no longer
    observed are remembered for ten minutes, so that reusing one soon needs no lookup.
    """

    def __init__(
        self,
        settings: DnsSettings,
        metrics: Tree,
        *,
        now: Callable[[], float] = time.monotonic,
        has_ipv6: Callable[[], bool] = has_global_ipv6,
    ) -> None:
        self._settings = settings
        self._now = now
        self._has_ipv6 = has_ipv6
        self._lookup = Lookup(settings, has_ipv6)
        self._slots = BoundedSemaphore(MAX_LOOKUPS)
        self._waiting = 0
        self._names: OrderedDict[str, DnsName] = OrderedDict()
        stats = metrics.scope("inet", "dns")
        self._lookup_ms = stats.stat("lookup_ms")
        self._successes = stats.counter("successes")
        self._failures = stats.counter("failures")
        self._lookups = stats.counter("dns_lookups")
        self._lookup_failures = stats.counter("dns_lookup_failures")
        stats.gauge("queue_size", fn=lambda: self._waiting)

    def resolve(self, host: str, port: str) -> Var[Addr]:
        """Returns the addresses of *host*, each with *port*, kept up to date while observed.

        *port* is a decimal number up to 65535, or `*` for 0. An empty host and `localhost` are
        loopback; a literal, also bracketed IPv6, is used as it is; other spellings of addresses
        fail. Raises nothing: what cannot be resolved is a failed or negative address.
        """
        number = _port(port)
        if number is None:
            return Var(AddrFailed(f"{port} is not a port"))
        host = host.lower()
        address = "127.0.0.1" if host in ("", "localhost") else literal(host)
        if address is not None:
            return Var(addresses_of([address], number))
        why = why_refused(host)
        if why is not None:
            return Var(AddrFailed(why))
        return self._followed(host).addr.map(lambda addr: _with_port(addr, number))

    def followed(self) -> Iterator[Followed]:
        """Yields the state of each host in use."""
        return (one.followed() for one in list(self._names.values()) if one.is_observed)

    def services(self, name: str, hosts: Sequence[str] = ()) -> Services:
        """Returns the SRV records of the absolute *name*, asked for once, after queueing.

        Asks the name servers *hosts*, `host` or `host:port`, if there are any. Omits records with
        no host, which stand for no service, or no port. Raises QueryFailed.
        """
        lookup = self._lookup_at(hosts) if hosts else self._lookup
        answer = self._in_turn(name, lambda: lookup.services(name))
        records = tuple(record for record in answer.services if record.host != "." and record.port)
        return Services(records, self._bounded_ttl_s(answer, bool(records)))

    def _bounded_ttl_s(self, answer: Answer, is_positive: bool) -> float:
        settings = self._settings
        longest_s = settings.max_ttl_s if is_positive else settings.max_negative_ttl_s
        return min(answer.ttl_s, longest_s, settings.max_ttl_s)

    def _lookup_at(self, hosts: Sequence[str]) -> Lookup:
        """Returns a lookup that asks *hosts* at their present addresses. Raises QueryFailed."""
        servers = []
        for server in map(Server.parse, hosts):
            found = wait(
                self.resolve(server.host, str(server.port)).map(settled), self._settings.timeout_s
            )
            if isinstance(found, Ok) and isinstance(found.value, AddrBound):
                servers += [Server(one.host, one.port) for one in found.value.addresses]
        if not servers:
            raise QueryFailed(f"{', '.join(hosts)}: no name server has an address")
        return Lookup(replace(self._settings, nameservers=tuple(servers)), self._has_ipv6)

    def _followed(self, host: str) -> DnsName:
        """Returns the shared entry of *host*, which is now the last one to be forgotten."""
        self._forget_idle()
        name = self._names.get(host)
        if name is None:
            name = self._names[host] = DnsName(host, self._look_up, self._settings, self._now)
        name.used_at = self._now()
        self._names.move_to_end(host)
        return name

    def _forget_idle(self) -> None:
        while self._names:
            host, oldest = next(iter(self._names.items()))
            is_old = self._now() - oldest.used_at > IDLE_S
            if oldest.is_observed and (is_old or len(self._names) >= MAX_NAMES):
                oldest.used_at = self._now()
                self._names.move_to_end(host)
                return
            if not is_old and len(self._names) < MAX_NAMES:
                return
            del self._names[host]

    def _look_up(self, host: str) -> Answer:
        """Does one lookup after queueing, and counts it. Raises QueryFailed."""
        begun = self._now()
        self._lookups.incr()
        try:
            answer = self._in_turn(host, lambda: self._lookup.look_up(host))
        except Exception:
            self._lookup_failures.incr()
            self._failures.incr()
            raise
        finally:
            self._lookup_ms.add((self._now() - begun) * 1000)
        (self._successes if answer.addresses else self._failures).incr()
        if not answer.addresses:
            self._lookup_failures.incr()
        return answer

    def _in_turn(self, name: str, look_up: Callable[[], Answer]) -> Answer:
        self._waiting += 1
        try:
            has_slot = self._slots.acquire(timeout=self._settings.timeout_s)
        finally:
            self._waiting -= 1
        if not has_slot:
            raise QueryFailed(f"{name}: {MAX_LOOKUPS} lookups are still running")
        try:
            return look_up()
        finally:
            self._slots.release()


def _port(text: str) -> int | None:
    if text == "*":
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        return None
    number = int(text)
    return number if number <= 65535 else None


def _with_port(addr: Addr, port: int) -> Addr:
    if isinstance(addr, AddrBound):
        return addresses_of([address.host for address in addr.addresses], port)
    return addr
