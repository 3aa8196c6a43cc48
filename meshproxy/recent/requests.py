"""The latest requests of this process: failed, slow and retried ones outlive the others.

A server asks `RecentRequests.from_ms` about each request that went well, and nothing else: it is
above the time of most of them when they are not wanted, so they cost one comparison.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from math import floor, inf, log1p
from operator import attrgetter
from time import monotonic
from typing import Any, Final, Protocol

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.http import l5d
from meshproxy.http.errors import ErrorResponse
from meshproxy.http.message import Request, Response
from meshproxy.recent.request import CUT, ENDPOINT, Ended, RecentRequest
from meshproxy.recent.wanted import Wanted

CAPACITY: Final = 100
"""How many of each sort are kept: failed, slow, retried and other ones."""
SLOW_MS: Final = 1000.0
PER_SECOND: Final = 50
"""Of those that went well, the first so many of each second are kept unless a rate is chosen."""
SAMPLED_PER_SECOND: Final = 1000
"""With a rate, at most so many of each second are kept, or as many as there is room for."""
MAX_WATCHED: Final = 2000
"""Most requests of one second that a watching supervisor is told of."""

_MOST_UNSHOWN: Final = 1000
"""With a larger capacity, requests are formatted as they end: all at once would stop the loop."""
_BY_TIME: Final = attrgetter("ended_at")
_Ring = deque[RecentRequest | Ended]
_EARLY_ENDS: Final = {
    CUT: "the endpoint did not send the whole body",
    ClientGone.reason: "the client did not take the whole body",
}


class RequestFollower(Protocol):
    """Called for every request as it ends; must not wait."""

    def tell(self, request: RecentRequest) -> None:
        """Takes *request*, which has just ended."""
        ...

    def miss(self, count: int) -> None:
        """Learns that *count* requests have ended that it cannot be told of."""
        ...


class RecentRequests:
    """The latest requests that failed, were slow or were sent again, and a part of the others.

    *draw* returns a new number in [0, 1) on each call.
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._rate: float | None = None
        self._gap: float = 0
        """How many of those that went well are passed over before the next is kept."""
        self._left = PER_SECOND
        self._watched_until = 0.0
        self._followers: tuple[RequestFollower, ...] = ()
        self._capacity = CAPACITY
        self._failed: _Ring = deque(maxlen=CAPACITY)
        self._slow: _Ring = deque(maxlen=CAPACITY)
        self._retried: _Ring = deque(maxlen=CAPACITY)
        """Those that ended well, after an attempt that did not."""
        self._others: _Ring = deque(maxlen=CAPACITY)
        self.missed = 0
        """Requests that a supervisor watched for and was not told of, since the last `take`."""
        self._slow_ms = SLOW_MS
        self._wants_all = False
        """True if somebody is told of every request."""
        self._at_once = False
        """True if requests are formatted as they end."""
        self.from_ms = -1.0
        """A request that went well is of interest if it took this long or longer."""

    def sample(
        self, rate: float | None = None, capacity: int = CAPACITY, slow_ms: float = SLOW_MS
    ) -> None:
        """Keeps *capacity* of those that went well: a share of *rate*, and the first of a second.

        A request is slow from *slow_ms* on.
        """
        self._rate = rate
        self._slow_ms = slow_ms
        self._capacity = capacity
        self._gap = self._next_gap()
        self._resize()
        self.refill()

    def refill(self) -> None:
        """Begins another second; called about once each."""
        most = PER_SECOND if self._rate is None else max(SAMPLED_PER_SECOND, self._capacity)
        self._left = most
        self._adjust()

    def watch(self, seconds: float) -> None:
        """Keeps all requests for *seconds*, for a supervisor to take."""
        self._watched_until = monotonic() + seconds
        if self._failed.maxlen != MAX_WATCHED:
            self._resize(MAX_WATCHED)
        self._adjust()

    def follow(self, follower: RequestFollower) -> None:
        """Tells *follower* of every request that ends, until `leave`."""
        self._followers += (follower,)
        self._adjust()

    def leave(self, follower: RequestFollower) -> None:
        """Tells *follower* no more."""
        self._followers = tuple(one for one in self._followers if one is not follower)
        self._adjust()

    def passed(
        self, router: str, server: str, request: Request, response: Response, latency_ms: float
    ) -> None:
        """Records *request*, whose *response* came whole and is a success, if it is of interest."""
        if (
            self._gap
            and not self._wants_all
            and latency_ms < self._slow_ms
            and not request.earlier
            and response.status < 400
        ):
            self._gap -= 1
        else:
            self.ended(router, server, request, response, latency_ms)

    def ended(
        self,
        router: str,
        server: str,
        request: Request,
        response: Response,
        latency_ms: float,
        body_ms: float = 0.0,
        early_end: str = "",
    ) -> None:
        """Records *request*, to which the client got *response*, at the end of its body.

        A body that was not passed on to its end has an *early_end*: its reason code, `cut` or
        `client_gone`.
        """
        if isinstance(response, ErrorResponse):
            reason, why = response.error, response.text
        elif early_end:
            reason, why = early_end, _EARLY_ENDS[early_end]
        elif response.failed:
            reason, why = ENDPOINT, l5d.error_text(response.headers)
        elif not request.earlier and self._skips(latency_ms + body_ms):
            return
        else:
            reason = why = ""
        self._note(
            Ended(
                router,
                server,
                request,
                response.status,
                reason,
                why,
                latency_ms,
                body_ms,
                monotonic(),
            )
        )

    def left(
        self, router: str, server: str, request: Request, error: ProxyError, latency_ms: float
    ) -> None:
        """Records *request*, which *error* ended without a response."""
        reason, why = error.reason, str(error)
        self._note(Ended(router, server, request, None, reason, why, latency_ms, 0.0, monotonic()))

    def latest(self, wanted: Wanted, limit: int) -> list[RecentRequest]:
        """Returns the newest *limit* requests that are *wanted*, newest first."""
        return list(islice(filter(wanted.matches, reversed(self._all())), limit))

    def take(self) -> list[list[Any]]:
        """Returns all requests as JSON values, oldest first, and forgets them."""
        taken = [list(one) for one in self._all()]
        for ring in self._rings():
            ring.clear()
        self.missed = 0
        return taken

    def merge(self, taken: Iterable[Sequence[Any]], missed: int = 0) -> None:
        """Records what another process took, and that it missed as many as *missed*.

        Raises ValueError if it is something else.
        """
        for follower in self._followers if missed else ():
            follower.miss(missed)
        for one in taken:
            self._note(RecentRequest.of_plain(one))

    def _all(self) -> list[RecentRequest]:
        """Returns all, oldest first; they are formatted here, as hardly any is looked at."""
        found: list[RecentRequest] = []
        for ring in self._rings():
            shown = [one.show() if isinstance(one, Ended) else one for one in ring]
            ring.clear()
            ring.extend(shown)
            found += shown
        return sorted(found, key=_BY_TIME)

    def _rings(self) -> tuple[_Ring, ...]:
        return self._failed, self._slow, self._retried, self._others

    def _skips(self, total_ms: float) -> bool:
        """Returns True if a request that went well is not kept; otherwise counts it."""
        if self._wants_all or total_ms >= self._slow_ms:
            return False
        if self._gap:
            self._gap -= 1
            return True
        self._gap = self._next_gap()
        self._left -= 1
        if not self._left:
            self._adjust()
        return self._left < 0

    def _next_gap(self) -> float:
        """Returns how many to pass over, so that each is kept with the probability of the rate."""
        if self._rate is None or self._rate >= 1:
            return 0
        return floor(log1p(-self._draw()) / log1p(-self._rate)) if self._rate else inf

    def _note(self, request: RecentRequest | Ended) -> None:
        if request.is_failed:
            ring = self._failed
        elif request.total_ms >= self._slow_ms:
            ring = self._slow
        else:
            ring = self._retried if request.earlier else self._others
        if self._watched_until and len(ring) == ring.maxlen:
            self.missed += 1
        if isinstance(request, Ended):
            if not self._at_once:
                ring.append(request)
                return
            request = request.show()
        ring.append(request)
        for follower in self._followers:
            follower.tell(request)

    def _resize(self, watched: int = 0) -> None:
        """Keeps as many as configured, or *watched* of each sort if that is not 0."""
        self._failed = deque(self._failed, maxlen=watched or CAPACITY)
        self._slow = deque(self._slow, maxlen=watched or CAPACITY)
        self._retried = deque(self._retried, maxlen=watched or CAPACITY)
        self._others = deque(self._others, maxlen=max(watched, self._capacity))

    def _adjust(self) -> None:
        """Sets `from_ms` to the lowest that anyone needs."""
        if self._watched_until and self._watched_until < monotonic():
            self._watched_until = 0.0
            self._resize()
        self._wants_all = wants_all = bool(self._followers or self._watched_until)
        self._at_once = wants_all or self._capacity > _MOST_UNSHOWN
        wants_some = self._left > 0 and self._rate != 0
        self.from_ms = -1.0 if wants_all or wants_some else self._slow_ms
