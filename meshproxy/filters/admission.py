"""Limits what a server admits (linkerd: linkerd/core/.../Server.scala)."""

from typing import ClassVar

from meshproxy.errors import ProxyError
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service


class Overloaded(ProxyError):
    """maxConcurrentRequests are in progress already; this one was not processed."""

    status: ClassVar[int] = 503
    retryable: ClassVar[bool] = True
    reason = "overloaded"
    fields: ClassVar[tuple[tuple[bytes, bytes], ...]] = (
        (b"finagle-http-nack", b"true"),
        (b"Retry-After", b"0"),
    )


class ConcurrencyLimit:
    """Refuses requests beyond *limit* in progress, at once and without a queue."""

    def __init__(self, limit: int, metrics: Tree) -> None:
        self._limit = limit
        self._current = metrics.gauge("request_concurrency")
        self._refused = metrics.counter("nacks")

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves. Raises Overloaded if the limit is reached."""
        if self._current.value >= self._limit:
            self._refused.value += 1
            raise Overloaded(
                "Request was not processed by the server due to an error and is safe to retry"
            )
        self._current.value += 1
        try:
            return service(request)
        finally:
            self._current.value -= 1
