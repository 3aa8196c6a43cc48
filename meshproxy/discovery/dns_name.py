"""A host name that is followed in DNS: its last good addresses, and when they are renewed."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import gevent

from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.discovery.dns_query import Answer, QueryFailed
from meshproxy.log_once import LogOnce
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.naming.followed import Followed, brief
from meshproxy.timeline import Kind, timeline
from meshproxy.var import Source

MIN_NEGATIVE_TTL_S: Final = 1.0

A = TypeVar("A", bound=Addr)

log_once = LogOnce(logging.getLogger(__name__))


class DnsName:
    """The state of one host, and the greenlet that renews it while it is observed."""

    def __init__(
        self,
        host: str,
        look_up: Callable[[str], Answer],
        settings: DnsSettings,
        now: Callable[[], float],
    ) -> None:
        self.addr: Source[Addr] = Source(self._start, ADDR_PENDING)
        self.is_observed = False
        self.used_at = now()
        self._host = host
        self._look_up = look_up
        self._settings = settings
        self._now = now
        self._known: Addr = ADDR_PENDING
        self._fresh_until = now()
        self._good_at = now()
        self._answered_at = self._failing_since = 0.0
        self._failure = ""

    def followed(self) -> Followed:
        """Returns a short description of the state."""
        renewed_at = time.time() + self._fresh_until - self._now()
        return Followed(
            self._host,
            _brief(self._known) if self._answered_at else "",
            self._answered_at,
            self._failure,
            self._failing_since,
            renewed_at,
        )

    def _start(self, emit: Callable[[Addr], None]) -> Callable[[], None]:
        if self._now() < self._fresh_until:
            emit(self._known)
        renewing = gevent.spawn(self._renew_for_ever, emit)
        self.is_observed = True

        def stop() -> None:
            self.is_observed = False
            self.used_at = self._now()
            renewing.kill(block=False)

        return stop

    def _renew_for_ever(self, emit: Callable[[Addr], None]) -> None:
        while True:
            gevent.sleep(max(0.0, self._fresh_until - self._now()))
            self._known, ttl_s = self._renewed()
            self._fresh_until = self._now() + ttl_s
            emit(self._known)

    def _renewed(self) -> tuple[Addr, float]:
        """Returns the address, from a new lookup or the last good one, and how long it is valid."""
        settings = self._settings
        try:
            answer = self._look_up(self._host)
        except QueryFailed as failure:
            self._fail(str(failure))
            return self._held_or(AddrFailed(f"{self._host}: {failure}")), settings.min_ttl_s
        except Exception:
            log_once.exception("the lookup of %s broke", self._host)
            self._fail("internal error of the resolver")
            failed = AddrFailed(f"{self._host}: internal error of the resolver")
            return self._held_or(failed), settings.min_ttl_s
        self._answer()
        if not answer.name_exists:
            return ADDR_NEG, self._negative_ttl_s(answer)
        if not answer.addresses:
            return self._held_or(ADDR_NEG), self._negative_ttl_s(answer)
        found = addresses_of(answer.addresses, 0)
        if answer.is_partial:
            return self._with_held_family(found), settings.min_ttl_s
        self._good_at = self._now()
        return found, min(max(answer.ttl_s, settings.min_ttl_s), settings.max_ttl_s)

    def _fail(self, why: str) -> None:
        if not self._failure:
            self._failing_since = time.time()
            timeline.note(Kind.DISCOVERY, f"DNS {self._host}", why)
        self._failure = why

    def _answer(self) -> None:
        if self._failure:
            timeline.note(Kind.DISCOVERY, f"DNS {self._host}", "answered again")
        self._failure, self._failing_since = "", 0.0
        self._answered_at = time.time()

    def _negative_ttl_s(self, answer: Answer) -> float:
        settings = self._settings
        least_s = min(MIN_NEGATIVE_TTL_S, settings.min_ttl_s)
        most_s = min(settings.max_negative_ttl_s, settings.max_ttl_s)
        return min(max(answer.ttl_s, least_s), most_s)

    def _with_held_family(self, found: AddrBound) -> AddrBound:
        """Returns *found* plus, for the family that failed, its last known addresses."""
        held = self._held_or(found)
        families = {":" in address.host for address in found.addresses}
        kept = {each for each in held.addresses if (":" in each.host) not in families}
        return AddrBound(found.addresses | kept)

    def _held_or(self, otherwise: A) -> A | AddrBound:
        """Returns the address known before, if it was good and is not too old."""
        is_recent = self._now() - self._good_at <= self._settings.stale_s
        return self._known if isinstance(self._known, AddrBound) and is_recent else otherwise


def addresses_of(addresses: Sequence[str], port: int) -> AddrBound:
    """Returns them, each with *port*."""
    return AddrBound(frozenset(Address(address, port) for address in addresses))


def _brief(addr: Addr) -> str:
    if not isinstance(addr, AddrBound):
        return "no address"
    return brief(", ".join(sorted(one.host for one in addr.addresses)))
