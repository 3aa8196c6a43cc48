"""Retries of HTTP/2, where the end of a response may be what asks for one.

linkerd: linkerd/protocol/h2/.../ClassifiedRetryFilter.scala. A response is held back, unread, only
while its end could lead to a retry.
"""

from time import monotonic
from typing import cast

from meshproxy.filters.retries import Retries
from meshproxy.http.body import AwaitedBody
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service


class StreamRetries:
    """Inside *retries*: awaits a response up to *seconds* and *size* bytes of its body."""

    def __init__(self, retries: Retries, seconds: float, size: int, metrics: Tree) -> None:
        self._budget = retries.budget
        self.is_needed = retries.classifier.may_retry_at_end
        """False if the end of a response is never what asks for a retry, so this does nothing."""
        self._is_possible = self.is_needed and retries.most > 0
        self._seconds = seconds
        self._size = size
        scope = metrics.scope("retries")
        self._request_too_long = scope.counter("request_stream_too_long")
        self._response_too_long = scope.counter("response_stream_too_long")
        self._timed_out = scope.counter("classification_timeout")

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves one attempt."""
        response = service(request)
        ending = response.ending
        if self._is_possible and ending is not None and ending.decides:
            self._await_end(request, response)
        if response.retryable and _is_gone(request):
            self._request_too_long.value += 1
            response.retryable = False
        return response

    def _await_end(self, request: Request, response: Response) -> None:
        """Waits for the end, which may make *response* a failure that may be retried.

        The body of an endpoint of HTTP/2 is an `AwaitedBody`.
        """
        if _is_gone(request) or self._budget.balance() <= 0:
            return
        if not hasattr(response.body, "await_end"):  # a body that arrives only while it is read
            return
        body = cast("AwaitedBody", response.body)
        try:
            has_come = body.await_end(self._size, self._seconds)
        except BaseException:  # the client has left, and nobody else knows of the response
            response.close()
            raise
        if not has_come:
            too_long = body.held > self._size
            counter = self._response_too_long if too_long else self._timed_out
            counter.value += 1
        response.arrived = monotonic()


def _is_gone(request: Request) -> bool:
    """Returns True if the request's body is no longer held, so that it cannot be sent again."""
    return request.body is not None and not request.body.is_replayable
