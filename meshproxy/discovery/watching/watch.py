"""A watch: asks as long as it is observed, and keeps the last good answer.

The requests, and the reading of answers, are in a generator that each system provides.
"""

import logging
import time
from collections.abc import Callable, Generator, ItemsView, Iterator
from contextlib import closing
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar, cast

import gevent

from meshproxy.backoff import Backoff
from meshproxy.discovery.watching.api import Api
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.discovery.watching.failure import ApiFailure, Complaints, Reason
from meshproxy.discovery.watching.line import Line
from meshproxy.log_once import LogOnce
from meshproxy.metrics.tree import Tree
from meshproxy.naming.followed import Followed, brief
from meshproxy.var import PENDING, Activity, Close, Ok, Source, State
from meshproxy.wording import moment

K = TypeVar("K")
T = TypeVar("T")
L = TypeVar("L")

Rounds = Callable[[L], Generator[T, None, None]]
"""Asks, and yields each answer as a value; ends, or raises `ApiFailure`, to start over."""
Style = Literal["poll", "watch"]

log_once = LogOnce(logging.getLogger(__name__))


class WatchStats:
    """Statistics of the watches of one kind, in their scope of the metrics."""

    def __init__(self, metrics: Tree) -> None:
        self.opens = metrics.counter("opens")
        self.closes = metrics.counter("closes")
        self.updates = metrics.counter("updates")
        self.errors = metrics.counter("errors")
        self._reasons = {reason: metrics.counter("errors", reason) for reason in Reason}

    def failed(self, reason: Reason) -> None:
        """Counts a failure."""
        self.errors.incr()
        self._reasons[reason].incr()


class System(Protocol):
    """A discovery system to ask."""

    @property
    def host(self) -> str:
        """Its name in logs."""
        ...

    @property
    def complaints(self) -> Complaints:
        """The log of its failures."""
        ...


class Watch(Generic[T]):
    """Follows one value of *api* in a greenlet of its own.

    *line* opens the connection to ask it, a `Line` by default.

    *unknown* returns the state after a failure before the first answer; afterwards the last answer
    stays. *show* converts a value to JSON for the admin page.
    """

    def __init__(
        self,
        api: Api | System,
        name: str,
        rounds: Rounds[L, T],
        *,
        line: Callable[[Callable[[], None]], L] | None = None,
        backoff: Backoff,
        stats: WatchStats,
        unknown: Callable[[ApiFailure], State[T]] = lambda _: PENDING,
        show: Callable[[T], Any] = str,
        style: Style = "poll",
    ) -> None:
        self.states: Activity[T] = Source(self._start, PENDING)
        """The state; the watch works while this is observed."""
        self._api = api
        self.name = name
        self._open: Callable[..., Any] = line or partial(Line, cast("Api", api))
        self._rounds: Callable[[Any], Generator[T, None, None]] = rounds
        self._backoff = backoff
        self._stats = stats
        self._unknown = unknown
        self._show = show
        self._style = style
        self._emit: Callable[[State[T]], None] = lambda _: None
        self._greenlet: gevent.Greenlet | None = None
        self._line: Any = None
        self._known: Ok[T] | None = None
        self._failure: ApiFailure | None = None
        self._started_at = self._updated_at = self._failing_since = 0.0

    @property
    def is_idle(self) -> bool:
        """True if it is not observed."""
        return self._greenlet is None

    def describe(self) -> dict[str, Any]:
        """Returns its state for human readers (linkerd: InstrumentedVar, Instrumentation.scala)."""
        line = self._line
        known = self._known
        return {
            "state": {
                "running": not self.is_idle,
                "lastStartedAt": moment(self._started_at),
                "lastUpdatedAt": moment(self._updated_at),
                "value": None if known is None else self._show(known.value),
            },
            self._style: {
                "request": line.request if line else None,
                "lastRequestAt": moment(line.requested_at if line else 0.0),
                "lastResponseAt": moment(line.responded_at if line else 0.0),
                "error": None if self._failure is None else str(self._failure),
            },
        }

    def followed(self) -> Followed:
        """Returns a short description of the state."""
        known, failure = self._known, self._failure
        return Followed(
            self.name,
            "" if known is None else brief(self._show(known.value)),
            0.0 if known is None else self._updated_at,
            "" if failure is None else str(failure),
            0.0 if failure is None else self._failing_since,
        )

    def _start(self, emit: Callable[[State[T]], None]) -> Close:
        self._stats.opens.incr()
        self._emit = emit
        self._started_at = time.time()
        self._known = None
        self._greenlet = gevent.spawn(self._run)
        return self._stop

    def _stop(self) -> None:
        self._stats.closes.incr()
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = None
        self._forgive()

    def _restart(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        line = self._line = self._open(self._restart)
        try:
            waits = self._backoff()
            while True:
                if self._follow(line):
                    waits = self._backoff()
                if self._failure is not None:
                    gevent.sleep(next(waits))
        finally:
            line.close()

    def _follow(self, line: Any) -> bool:
        """Runs one round and publishes its values. Returns True if there were any."""
        brought = False
        try:
            with closing(self._rounds(line)) as values:
                for value in values:
                    self._take(value)
                    brought = True
        except ApiFailure as failure:
            self._note(failure)
        except Malformed as error:
            self._note(ApiFailure(Reason.MALFORMED, str(error)))
        except Exception:
            log_once.exception("%s: %s failed", self._api.host, self.name)
            self._note(ApiFailure(Reason.INTERNAL, "internal error, see the log"))
        else:
            if not brought:
                self._note(ApiFailure(Reason.BROKEN, "the answer ended before it said anything"))
        return brought

    def _take(self, value: T) -> None:
        self._forgive()
        self._stats.updates.incr()
        self._updated_at = time.time()
        self._known = Ok(value)
        self._emit(self._known)

    def _note(self, failure: ApiFailure) -> None:
        self._stats.failed(failure.reason)
        before, self._failure = self._failure, failure
        if before is None:
            self._failing_since = time.time()
        if before is None or before.kind != failure.kind:
            self._api.complaints.begin(failure, self.name)
            if before is not None:
                self._api.complaints.end(before)
        if self._known is None:
            self._emit(self._unknown(failure))

    def _forgive(self) -> None:
        if self._failure is not None:
            self._api.complaints.end(self._failure)
            self._failure = None


class Watches(Generic[K, T]):
    """The watches of one kind, by what they follow; only those that are observed."""

    def __init__(self, make: Callable[[K], Watch[T]]) -> None:
        self._make = make
        self._running: dict[K, Watch[T]] = {}

    def follow(self, key: K) -> Activity[T]:
        """Returns the state of *key*, from one watch that all its observers share."""
        return Source(lambda emit: self._join(key, emit), PENDING)

    def __contains__(self, key: K) -> bool:
        return key in self._running

    def __len__(self) -> int:
        return len(self._running)

    def items(self) -> ItemsView[K, Watch[T]]:
        """Returns each key with its watch."""
        return self._running.items()

    def describe(self) -> dict[str, Any]:
        """Returns the state of each for human readers, by name."""
        return {watch.name: watch.describe() for watch in self._running.values()}

    def followed(self) -> Iterator[Followed]:
        """Yields a short description of each."""
        return (watch.followed() for watch in list(self._running.values()))

    def _join(self, key: K, emit: Callable[[State[T]], None]) -> Close:
        watch = self._running.get(key)
        if watch is None:
            watch = self._running[key] = self._make(key)
        close = watch.states.observe(emit)

        def leave() -> None:
            close()
            if watch.is_idle and self._running.get(key) is watch:
                del self._running[key]

        return leave


def polled(ask: Callable[[], T], interval_s: Callable[[], float]) -> Generator[T, None, None]:
    """Yields an answer after each interval, for ever."""
    while True:
        yield ask()
        gevent.sleep(interval_s())
