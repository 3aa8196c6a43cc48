"""`/tap`: a line of JSON for every request as it ends, until the reader closes."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, Final

from gevent.event import Event

from meshproxy.admin.pages import TEXT, AdminRequest, AdminResponse, refuse_method, text
from meshproxy.http.headers import Headers
from meshproxy.metrics.tree import Tree
from meshproxy.recent.request import RecentRequest
from meshproxy.recent.requests import RecentRequests
from meshproxy.recent.wanted import Wanted

PATH: Final = "/tap"
LINES: Final = "application/x-ndjson"
MAX_READERS: Final = 10
MAX_SECONDS: Final = 3600
MAX_QUEUED: Final = 1000
"""Requests that wait for a reader; further ones are dropped, and the reader is told how many."""
RENEW_S: Final = 1.0
_BEAT_S: Final = 5.0
"""An empty line after so long without a request shows if the reader is still there."""
_LINES_AT_ONCE: Final = 100


class Tap:
    """The page. *renew* is called about once a second while somebody reads."""

    def __init__(
        self, recent: RecentRequests, metrics: Tree, renew: Callable[[], None] | None = None
    ) -> None:
        self._recent = recent
        self._renew = renew
        self._readers: set[Reading] = set()
        scope = metrics.scope("tap")
        self._dropped = scope.counter("dropped")
        scope.gauge("readers", fn=lambda: len(self._readers))

    def __call__(self, request: AdminRequest) -> AdminResponse:
        """Returns the lines of `seconds`, of the requests that match the parameters of `Wanted`."""
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        seconds = request.query.get("seconds", "")
        is_number = seconds.isdecimal() and len(seconds) < 9
        if not is_number or not 0 < int(seconds) <= MAX_SECONDS:
            return text(f"Add ?seconds= with a number from 1 to {MAX_SECONDS}.\n", 400)
        try:
            wanted = Wanted.of(request.query)
        except ValueError as error:
            return text(f"{error}\n", 400)
        if len(self._readers) >= MAX_READERS:
            return text(f"There are {MAX_READERS} readers already.\n", 503)
        reading = Reading(self, wanted, monotonic() + int(seconds))
        self._readers.add(reading)
        self._recent.follow(reading)
        # browsers would save lines of JSON as a file
        kind = TEXT if "text/html" in request.accept else LINES
        return AdminResponse(b"", kind, stream=reading)

    def drop(self, count: int) -> None:
        """Counts requests that a reader could not be told of."""
        self._dropped.value += count

    def leave(self, reading: "Reading") -> None:
        """Forgets *reading*."""
        self._recent.leave(reading)
        self._readers.discard(reading)

    def renew(self) -> None:
        """Goes on watching."""
        if self._renew is not None:
            self._renew()


class Reading:
    """What one reader gets until monotonic second *deadline*, as a body that is made as it is sent.

    Closed when the reader has gone.
    """

    length: int | None = None
    trailers: Headers | None = None

    def __init__(self, tap: Tap, wanted: Wanted, deadline: float) -> None:
        self._tap = tap
        self._wanted = wanted
        self._deadline = deadline
        self._queue: deque[RecentRequest] = deque()
        self._has_come = Event()
        self._is_closed = False
        self._missed = 0

    def tell(self, request: RecentRequest) -> None:
        """Queues *request* if it is wanted; counts it as dropped if too many wait."""
        if not self._wanted.matches(request):
            return
        if len(self._queue) >= MAX_QUEUED:
            self.miss(1)
            return
        self._queue.append(request)
        self._has_come.set()

    def miss(self, count: int) -> None:
        """Counts requests that are not shown; the reader is told how many."""
        self._missed += count
        self._tap.drop(count)

    @property
    def has_piece(self) -> bool:
        """True if a line waits."""
        return bool(self._queue)

    def read(self) -> bytes:
        """Returns the next lines, an empty one now and then, and nothing at the end."""
        beat = monotonic() + _BEAT_S
        while not self._queue and not self._missed:
            left = self._deadline - monotonic()
            if self._is_closed or left <= 0:
                return b""
            if monotonic() >= beat:
                return b"\n"
            self._tap.renew()
            self._has_come.clear()
            self._has_come.wait(min(left, RENEW_S))
        self._tap.renew()
        lines: list[dict[str, Any]] = [{"dropped": self._missed}] if self._missed else []
        self._missed = 0
        count = min(len(self._queue), _LINES_AT_ONCE)
        lines += [self._queue.popleft().describe() for _ in range(count)]
        return "".join(json.dumps(line) + "\n" for line in lines).encode()

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def close(self) -> None:
        """Ends it."""
        self._is_closed = True
        self._has_come.set()
        self._tap.leave(self)
