"""Timeouts of a request, and the deadline passed to endpoints in `l5d-ctx-deadline`.

finagle: service/TimeoutFilter.scala, context/Deadline.scala. All waits use the monotonic clock; a
deadline by the wall clock is converted once, on arrival.
"""

import time
from collections.abc import Callable
from time import monotonic

from meshproxy.errors import DeadlineExceeded, ServiceTimedOut
from meshproxy.http import l5d
from meshproxy.http.deadline import shortened
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service

_EARLY_SECONDS = 0.01
"""Seconds by which a timer of the loop may be ahead of the clock."""


class TotalTimeout:
    """Limits all attempts of a request together to *seconds*, for a service or a server."""

    def __init__(self, seconds: float, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._seconds = seconds
        self._limit = f"{seconds:g}.seconds"
        self._timeout_ns = round(seconds * 1e9)
        self._now_ns = now_ns

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the deadline set. Raises ServiceTimedOut that mentions retries."""
        now_ns = self._now_ns()
        told = shortened(request.ctx_deadline, now_ns, now_ns + self._timeout_ns)
        request.ctx_deadline = told
        l5d.put_deadline(request.headers, told)
        return _serve_until(monotonic() + self._seconds, self._limit, request, service)


class EnforceDeadline:
    """Enforces the deadline that a request carries, on servers configured to do so."""

    def __init__(self, metrics: Tree, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._rejected = metrics.counter("admission_control", "deadline", "rejected")

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves within the time left. Raises DeadlineExceeded and ServiceTimedOut."""
        told = request.ctx_deadline
        if told is None:
            return service(request)
        left_ns = told.deadline_ns - self._now_ns()
        if left_ns <= 0:
            self._rejected.value += 1
            raise DeadlineExceeded("the deadline in l5d-ctx-deadline had passed on arrival")
        deadline = monotonic() + left_ns / 1e9
        return _serve_until(deadline, "the deadline in l5d-ctx-deadline", request, service)


class AttemptDeadline:
    """Includes the attempt timeout in the deadline passed to the endpoint, for one attempt."""

    def __init__(self, seconds: float, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._timeout_ns = round(seconds * 1e9)
        self._now_ns = now_ns

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves one attempt."""
        before = request.ctx_deadline
        now_ns = self._now_ns()
        told = shortened(before, now_ns, now_ns + self._timeout_ns)
        l5d.put_deadline(request.headers, told)
        try:
            return service(request)
        finally:  # another attempt may use a client without a timeout
            l5d.put_deadline(request.headers, before)


def _serve_until(
    deadline: float, limit: str, request: Request, service: Service[Request, Response]
) -> Response:
    """Serves by monotonic second *deadline*; an error names the *limit* it comes from."""
    request.deadline = min(request.deadline, deadline)
    try:
        return service(request)
    except ServiceTimedOut as error:
        if monotonic() < deadline - _EARLY_SECONDS:
            raise
        name = request.dst.show() if request.dst else ""
        raise type(error)(
            f"exceeded {limit} to {name} while {error.phase.value} for the request, "
            f"including retries (if applicable). Remote Info: {request.endpoint or 'Not Available'}"
        ) from error
