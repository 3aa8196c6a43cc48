"""An endpoint that rejects requests after a connect failure until one succeeds.

finagle: service/FailFastFactory.scala.
"""

from collections.abc import Callable
from itertools import chain, islice, repeat
from time import monotonic
from typing import Any, Final

import gevent

from meshproxy.backoff import Backoff, full_jitter
from meshproxy.client.endpoint import Endpoint
from meshproxy.errors import ConnectFailed, FailedFast, ProxyError, TlsFailed
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.timeline import Kind, timeline

LONGEST_WAIT_SECONDS: Final = 32.0
"""Longest wait, and the limit on one attempt."""
_JITTERED = full_jitter(1.0, LONGEST_WAIT_SECONDS)


def attempts() -> "chain[float]":
    """Returns the waits before each attempt: sixteen jittered ones, then the longest for ever."""
    return chain(islice(_JITTERED(), 16), repeat(LONGEST_WAIT_SECONDS))


class FailFastStats:
    """Statistics of the endpoints of *client* that fail fast; *metrics* is its `failfast` scope."""

    __slots__ = ("client", "failing", "marked_available", "marked_dead", "now")

    def __init__(self, metrics: Tree, client: str, now: Callable[[], float] = monotonic) -> None:
        self.client = client
        self.now = now
        self.failing: set[FailFastEndpoint] = set()
        """The endpoints that reject requests at present."""
        self.marked_dead = metrics.counter("marked_dead")
        self.marked_available = metrics.counter("marked_available")
        metrics.gauge("is_marked_dead", fn=lambda: len(self.failing))
        metrics.gauge(
            "unhealthy_for_ms",
            fn=lambda: sum(self.now() - one.failing_since for one in self.failing) * 1000,
        )
        metrics.gauge("unhealthy_num_tries", fn=lambda: sum(one.tries for one in self.failing))


class FailFastEndpoint(Endpoint):
    """Rejects requests after a connect failure, and tries to connect in the background."""

    __slots__ = ("_backoff", "_recovery", "_stats", "failing_since", "tries")

    def __init__(self, *parts: Any, stats: FailFastStats, backoff: Backoff = attempts) -> None:
        super().__init__(*parts)
        self._stats = stats
        self._backoff = backoff
        self._recovery: gevent.Greenlet | None = None
        self.failing_since = 0.0
        """When connecting failed, by the clock of the stats."""
        self.tries = 0
        """Attempts made since then."""

    @property
    def is_open(self) -> bool:
        """True if connections can be made and the breaker lets requests through."""
        return self._recovery is None and super().is_open

    @property
    def out_s(self) -> float:
        """Seconds since it was last known to work; 0 if requests are sent to it."""
        failing_s = self._stats.now() - self.failing_since if self._recovery is not None else 0.0
        return max(failing_s, super().out_s)

    def mark_alive(self) -> None:
        """Sends requests again, whether connecting has succeeded since or not."""
        self._stop_trying()
        super().mark_alive()

    def describe(self) -> dict[str, Any]:
        """Returns what operators ask about it, as JSON has it."""
        described = super().describe()
        return described | {"state": "failing_fast"} if self._recovery is not None else described

    def serve(self, request: Request) -> Response:
        """Sends *request*. Raises ProxyError, and FailedFast at once after a connect failure."""
        if self._recovery is not None:
            request.endpoint = self.name
            raise FailedFast(f"connecting to {self.name} failed, and has not succeeded since")
        try:
            return super().serve(request)
        except (ConnectFailed, TlsFailed) as error:
            self._fail(error)
            raise

    def close(self) -> None:
        """Accepts no new requests and stops trying to connect; running requests finish."""
        super().close()
        self._stop_trying()

    def _stop_trying(self) -> None:
        if self._recovery is not None:
            self._recovery.kill(block=False)
            self._recovered()

    def _fail(self, error: ProxyError) -> None:
        if self._recovery is None and not self.is_closed:
            self.failing_since, self.tries = self._stats.now(), 0
            self._stats.marked_dead.value += 1
            self._stats.failing.add(self)
            self._note(f"fails fast until a connection is made: {error}")
            self._recovery = gevent.spawn(self._recover)

    def _recover(self) -> None:
        try:
            for wait_s in self._backoff():
                gevent.sleep(wait_s)
                self.tries += 1
                try:
                    self._connections.open_session(monotonic() + LONGEST_WAIT_SECONDS)
                except ProxyError:
                    continue
                self._stats.marked_available.value += 1
                self._note("connections are made again")
                return
        finally:
            self._recovered()

    def _note(self, what: str) -> None:
        timeline.note(Kind.BREAKER, f"{self.name} of {self._stats.client}", what)

    def _recovered(self) -> None:
        self._recovery = None
        self._stats.failing.discard(self)
