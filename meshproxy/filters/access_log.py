"""A log line for each request of a client, written when its response has ended.

linkerd: linkerd/protocol/http/.../AccessLogger.scala. Nothing is written to a file here: lines go
to a function that does not wait.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from meshproxy.errors import ClientGone
from meshproxy.filters.access_log_lines import Asked, Form, places
from meshproxy.http.body import Body
from meshproxy.http.framing import BODILESS
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.net.tunnel import Tunnel
from meshproxy.service import Service

_MAX_REFUSED = 1024
"""Bytes of the method and of the target that are shown of what was refused, before escapes."""


class AccessLog:
    """Passes a line, made by *form*, to *write* when a response has ended.

    *names* returns the names that led a request to its client. Without it, no times are taken
    either: the form shows neither.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        form: Form,
        names: Callable[[Request], tuple[str, ...]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._form = form
        self._names = names
        self._monotonic = monotonic
        self._now = now

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves, and logs at once or when the response body ends. Raises what *service* raises."""
        lines = request.headers.lines
        host, referer, agent = places[tuple(request.headers.names)]
        asked = (
            request.target,
            lines[host] if host >= 0 else b"",
            lines[referer] if referer >= 0 else b"",
            lines[agent] if agent >= 0 else b"",
        )
        started = 0.0 if self._names is None else self._monotonic()
        try:
            response = service(request)
        except BaseException as error:
            # the connection responds to a broken body with 400
            status = 400 if isinstance(error, ClientGone) else None
            elapsed = self._monotonic() - started
            self._log(request, asked, None, error, status, 0, False, elapsed, elapsed)
            raise
        elapsed = 0.0 if self._names is None else self._monotonic() - started
        body, status = response.body, response.status
        if isinstance(body, bytes):
            sent = 0 if request.method == b"HEAD" or status in BODILESS else len(body)
            route = () if self._names is None else self._names(request)
            now = self._now()
            line = self._form(
                request, asked, response, None, status, sent, True, elapsed, elapsed, now, route
            )
            self._write(line)
        elif request.method == b"HEAD" or status in BODILESS or isinstance(body, Tunnel):
            self._log(request, asked, response, None, status, 0, True, elapsed, elapsed)
        else:
            self._await(request, asked, response, body, started, elapsed)
        return response

    def refused(self, request: Request, response: Response) -> None:
        """Logs bytes that never became a request, to which the client got *response*.

        No filter saw *request*, which is what is known of them.
        """
        method, target = (part[:_MAX_REFUSED] or b"-" for part in (request.method, request.target))
        shown = Request(method, target, request.version, request.headers)
        shown.peer = request.peer
        sent = len(response.body) if isinstance(response.body, bytes) else 0
        asked = target, b"", b"", b""
        self._log(shown, asked, response, None, response.status, sent, True, 0.0, 0.0)

    def _log(
        self,
        request: Request,
        asked: Asked,
        response: Response | None,
        error: BaseException | None,
        status: int | None,
        sent: int,
        is_whole: bool,
        latency: float,
        duration: float,
    ) -> None:
        names = () if self._names is None else self._names(request)
        facts = request, asked, response, error, status, sent, is_whole, latency, duration
        self._write(self._form(*facts, self._now(), names))

    def _await(
        self,
        request: Request,
        asked: Asked,
        response: Response,
        body: Any,
        started: float,
        latency: float,
    ) -> None:
        """Logs at the end of *body*; one of HTTP/2 is not read through this filter."""
        status = response.status

        def end(sent: int, is_whole: bool) -> None:
            duration = self._monotonic() - started
            self._log(request, asked, response, None, status, sent, is_whole, latency, duration)

        def ended(broken: bool) -> None:
            end(body.received, not broken and body.is_complete)

        ending = response.ending
        if not hasattr(body, "received"):
            response.body = _Counted(body, end)
        elif ending is None:  # all of it is there, with trailers
            end(body.received, body.is_complete)
        elif ending.has_come:  # while it was held back, see `filters.stream_retries`
            ended(broken=body.is_broken)
        else:
            ending.then(ended)


class _Counted:
    """Counts what is passed on of *body*, and calls *end* once at its end."""

    __slots__ = ("_body", "_end", "_pending", "_sent")

    def __init__(self, body: Body, end: Callable[[int, bool], None]) -> None:
        self._body = body
        self._end: Callable[[int, bool], None] | None = end
        self._sent = 0
        self._pending = 0
        """Bytes of the last piece, which are counted when the next one is asked for."""

    @property
    def length(self) -> int | None:
        return self._body.length

    @property
    def trailers(self) -> Headers | None:
        return self._body.trailers

    @property
    def has_piece(self) -> bool:
        return self._body.has_piece

    def read(self) -> bytes | memoryview | None:
        self._sent += self._pending
        self._pending = 0
        try:
            piece = self._body.read()
        except BaseException:
            self._finish(is_whole=False)
            raise
        if piece:
            self._pending = len(piece)
        else:
            self._finish(is_whole=True)
        return piece

    def __iter__(self) -> Iterator[bytes | memoryview]:
        while piece := self.read():
            yield piece

    def close(self) -> None:
        self._body.close()
        self._finish(is_whole=False)

    def _finish(self, *, is_whole: bool) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(self._sent, is_whole)
