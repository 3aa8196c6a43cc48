"""An ensemble of ZooKeeper: its servers, and a session with them for all who ask.

The session is there while anybody asks. One that is lost, or that no server takes any more (after a
server's data was wiped, it refuses those who have seen later data), is replaced by a new one; so is
one whose server is no longer an address of the ensemble.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar
from weakref import WeakValueDictionary

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError, SessionExpiredError

from meshproxy.backoff import equal_jitter
from meshproxy.discovery.members import Resolve
from meshproxy.discovery.watching.failure import ApiFailure, Complaints, Reason
from meshproxy.discovery.zookeeper.session import SessionTiming, ZooKeeperSession
from meshproxy.naming.addr import (
    ADDR_PENDING,
    Addr,
    AddrBound,
    Address,
    AddrFailed,
    AddrPending,
    merged,
)
from meshproxy.var import PENDING, Activity, Close, Ok, Source, State, Var, collect, wait

MAX_LEFT: Final = 1000
"""Watches that nothing waits for any more; a server forgets them only with the session."""
AT_ONCE: Final = 20
"""Requests of one watch that are under way."""
TURNS: Final = 10
"""Watches that ask at a time. kazoo wakes its greenlet through a pipe with room for some 270."""
PACE_S: Final = 0.1
"""Between two requests of one watch."""
_BACKOFF: Final = equal_jitter(0.1, 5.0)

T = TypeVar("T")


class Ensemble:
    """The servers at *where*; any of them can answer."""

    def __init__(self, host: str, where: Var[Addr], timing: SessionTiming | None = None) -> None:
        self.host = host
        """Its name in logs."""
        self.timing = timing or SessionTiming()
        self.complaints = Complaints(f"ZooKeeper {host}")
        self.clients: Activity[KazooClient] = Source(self._start, PENDING)
        """The client that has a session; there is one while this is observed."""
        self.why = ""
        """Why there is no session, if known."""
        self.asking = BoundedSemaphore(TURNS)
        """Limits the watches that ask at the same time."""
        self._where = where
        self._addr: Addr = ADDR_PENDING
        self._changed = Event()
        self._left = 0
        self._is_spent = False

    def leave(self, watches: int) -> None:
        """Counts watches that are set on the server although nothing waits for them any more."""
        self._left += watches
        if self._left > MAX_LEFT:
            self.renew()

    def renew(self) -> None:
        """Replaces the present session by a new one."""
        self._is_spent = True
        self._changed.set()

    def _start(self, emit: Callable[[State[KazooClient]], None]) -> Close:
        close = self._where.observe(self._see)
        keeping = gevent.spawn(self._keep, emit)

        def stop() -> None:
            close()
            keeping.kill(block=False)

        return stop

    def _see(self, addr: Addr) -> None:
        self._addr = addr
        self._changed.set()

    def _keep(self, emit: Callable[[State[KazooClient]], None]) -> None:
        waits = _BACKOFF()
        while True:
            addresses = self._addresses()
            if addresses and self._keep_one(addresses, emit):
                waits = _BACKOFF()
            gevent.sleep(next(waits))

    def _addresses(self) -> frozenset[Address]:
        """Returns the addresses of the servers; none if they are not known in time."""
        wait(self._where.map(_settled), self.timing.connect_s)
        match self._addr:
            case AddrBound(addresses) if addresses:
                return addresses
            case AddrFailed(why):
                self.why = why
            case _:
                self.why = "no server has an address"
        return frozenset()

    def _keep_one(
        self, servers: frozenset[Address], emit: Callable[[State[KazooClient]], None]
    ) -> bool:
        """Keeps a session for as long as it is valid. Returns True if one was established."""
        self._left, self._is_spent = 0, False
        session = ZooKeeperSession(servers, self.timing, self._changed.set)
        try:
            while self._is_good(session):
                if session.is_connected:
                    self.why = ""
                    emit(Ok(session.client))
                elif session.has_begun:
                    emit(PENDING)
                self._changed.clear()
                self._changed.wait(session.left_s)
            return session.has_begun
        finally:
            self.why = session.why or self.why
            emit(PENDING)
            session.end()

    def _is_good(self, session: ZooKeeperSession) -> bool:
        if session.left_s == 0.0 or self._is_spent:
            return False
        return not (
            isinstance(self._addr, AddrBound)
            and self._addr.addresses
            and session.is_connected
            and session.peer not in self._addr.addresses
        )


def _settled(addr: Addr) -> State[Addr]:
    return PENDING if isinstance(addr, AddrPending) else Ok(addr)


class EnsembleLine:
    """A watch's access to *ensemble*. It must be closed in the end."""

    def __init__(self, ensemble: Ensemble) -> None:
        self.request = ""
        """The last request."""
        self.requested_at = 0.0
        self.responded_at = 0.0
        """When the last answer arrived; seconds since 1970 as above."""
        self.news = Event()
        """Set when something has changed for the watch, and when the session is replaced."""
        self.ensemble = ensemble
        self._next_at = 0.0
        self._close = ensemble.clients.observe(lambda _: self.news.set())

    def close(self) -> None:
        """Stops asking."""
        self._close()

    def client(self) -> KazooClient:
        """Returns a client that has a session, at most every `PACE_S`. Raises `ApiFailure`."""
        gevent.sleep(max(0.0, self._next_at - time.monotonic()))
        self._next_at = time.monotonic() + PACE_S
        timing = self.ensemble.timing
        state = wait(self.ensemble.clients, timing.connect_s)
        if isinstance(state, Ok):
            return state.value
        why = self.ensemble.why
        raise ApiFailure(Reason.CONNECT, f"no session within {timing.connect_s:g} s: {why}")

    def answers(self, request: str, asks: Sequence[Callable[[], Any]]) -> list[Any]:
        """Returns the results of *asks*, at most `AT_ONCE`; None for nodes that do not exist.

        Raises `ApiFailure` if that takes too long, or for any other error.
        """
        self.request, self.requested_at = request, time.time()
        limit_s = self.ensemble.timing.answer_s
        deadline = time.monotonic() + limit_s
        if not self.ensemble.asking.acquire(timeout=limit_s):
            raise ApiFailure(Reason.STALLED, f"other questions are in the way for {limit_s:g} s")
        try:
            return [_value(result, deadline) for result in [ask() for ask in asks]]
        except gevent.Timeout as timeout:
            self.ensemble.renew()
            raise ApiFailure(Reason.STALLED, f"no answer within {limit_s:g} s") from timeout
        except SessionExpiredError as error:
            raise ApiFailure(Reason.BROKEN, "the session has expired") from error
        except KazooException as error:
            raise ApiFailure(Reason.BROKEN, f"{type(error).__name__} {error}".strip()) from error
        finally:
            self.ensemble.asking.release()
            self.responded_at = time.time()


def _value(result: Any, deadline: float) -> Any:
    try:
        return result.get(timeout=max(0.0, deadline - time.monotonic()))
    except NoNodeError:
        return None


_ensembles: "WeakValueDictionary[tuple[tuple[tuple[str, int], ...], Resolve], Ensemble]" = (
    WeakValueDictionary()
)


def ensemble_at(servers: Iterable[tuple[str, int]], resolve: Resolve) -> Ensemble:
    """Returns the ensemble of these hosts and ports, which is shared while it is in use."""
    key = (tuple(sorted(set(servers))), resolve)
    ensemble = _ensembles.get(key)
    if ensemble is None:
        ensemble = _ensembles[key] = new_ensemble(key[0], resolve)
    return ensemble


def new_ensemble(servers: Iterable[tuple[str, int]], resolve: Resolve) -> Ensemble:
    """Returns an ensemble with a session of its own."""
    listed = tuple(servers)
    where = collect([resolve(host, str(port)) for host, port in listed]).map(merged)
    return Ensemble(",".join(f"{host}:{port}" for host, port in listed), where)
