"""A log line for each request of a client, written when its response has ended.

linkerd: linkerd/protocol/http/.../AccessLogger.scala. Nothing is written to a file here: lines go
to a function that does not wait.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.filters.access_log_lines import LogEntry
from meshproxy.http import l5d
from meshproxy.http.body import Body
from meshproxy.http.errors import ErrorResponse
from meshproxy.http.framing import BODILESS
from meshproxy.http.headers import Headers
from meshproxy.http.message import Ending, Request, Response
from meshproxy.net.tunnel import Tunnel
from meshproxy.recent.request import CUT, ENDPOINT, phases_ms, trace_of
from meshproxy.service import Service

_MAX_ERROR = 1024


class AccessLog:
    """Passes a line, made by *form*, to *write* when a response has ended.

    *names* returns the names that led a request to its client; only asked if given.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        form: Callable[[LogEntry], bytes],
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
        headers = request.headers
        entry = LogEntry(
            remote=request.peer.remote if request.peer is not None else "",
            host=headers.get(b"host"),
            method=request.method,
            target=request.target,
            version=request.version,
            referer=headers.get(b"referer"),
            agent=headers.get(b"user-agent"),
            started=self._monotonic(),
        )
        try:
            response = service(request)
        except BaseException as error:
            if isinstance(error, ClientGone):  # the connection responds to a broken body with 400
                entry.status, entry.error = 400, error.reason
            elif isinstance(error, ProxyError):  # the stream is reset
                entry.error, entry.reason = error.reason, str(error)[:_MAX_ERROR]
            entry.latency = self._monotonic() - entry.started
            self._end(request, entry, None, is_whole=False)
            raise
        entry.latency = self._monotonic() - entry.started
        entry.status = response.status
        if isinstance(response, ErrorResponse):
            entry.error, entry.reason = response.error, response.text[:_MAX_ERROR]
        else:
            entry.reason = l5d.error_text(response.headers)[:_MAX_ERROR]
        body = response.body
        if request.method == b"HEAD" or response.status in BODILESS or isinstance(body, Tunnel):
            self._end(request, entry, response, is_whole=True)
        elif isinstance(body, bytes):
            entry.sent = len(body)
            self._end(request, entry, response, is_whole=True)
        elif response.ending is not None and hasattr(body, "received"):
            self._await(response.ending, request, entry, response, body)
        else:
            response.body = _Counted(body, response, entry, partial(self._end, request))
        return response

    def _await(
        self, ending: Ending, request: Request, entry: LogEntry, response: Response, body: Any
    ) -> None:
        """Logs at the end of a body of HTTP/2, which is not read through this filter."""

        def ended(broken: bool) -> None:
            entry.sent = body.received
            self._end(request, entry, response, is_whole=not broken and body.is_complete)

        if ending.has_come:  # while it was held back, see `filters.stream_retries`
            ended(broken=body.is_broken)
        else:
            ending.then(ended)

    def _end(
        self, request: Request, entry: LogEntry, response: Response | None, *, is_whole: bool
    ) -> None:
        entry.is_whole = is_whole
        entry.ended_at = self._now()
        entry.duration = self._monotonic() - entry.started
        entry.service = request.dst.show() if request.dst is not None else ""
        entry.client = request.bound_id.show() if request.bound_id is not None else ""
        entry.endpoint = request.endpoint
        entry.retries = request.retries
        entry.egress = request.egress
        entry.failure = _failure(entry, response, is_whole=is_whole)
        if self._names is not None:
            entry.names = self._names(request)
            entry.trace, entry.phases = trace_of(request), phases_ms(request)
        self._write(self._form(entry))


def _failure(entry: LogEntry, response: Response | None, *, is_whole: bool) -> str:
    if entry.error or response is None:
        return entry.error or ClientGone.reason
    if is_whole:
        return ENDPOINT if response.failed else ""
    return CUT if response.failed and entry.status != 101 else ClientGone.reason


class _Counted:
    """Counts what is passed on of *body*, and calls *end* once at its end."""

    __slots__ = ("_body", "_end", "_entry", "_pending", "_response")

    def __init__(
        self, body: Body, response: Response, entry: LogEntry, end: Callable[..., None]
    ) -> None:
        self._body = body
        self._response = response
        self._entry = entry
        self._end: Callable[..., None] | None = end
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
        self._entry.sent += self._pending
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
            end(self._entry, self._response, is_whole=is_whole)
