"""A log line for each request of a client, written when its response has ended.

linkerd: linkerd/protocol/http/.../AccessLogger.scala. Nothing is written to a file here: lines go
to a function that does not wait.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from meshproxy.errors import ClientGone
from meshproxy.filters.access_log_lines import LogEntry
from meshproxy.http.body import Body
from meshproxy.http.ending import Ending
from meshproxy.http.framing import BODILESS
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.net.tunnel import Tunnel
from meshproxy.service import Service


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
        monotonic = self._monotonic
        entry = LogEntry(request, monotonic())
        try:
            response = service(request)
        except BaseException as error:
            entry.error = error
            if isinstance(error, ClientGone):  # the connection responds to a broken body with 400
                entry.status = 400
            entry.latency = monotonic() - entry.started
            self._end(entry, is_whole=False)
            raise
        entry.latency = monotonic() - entry.started
        entry.response = response
        entry.status = status = response.status
        body = response.body
        if request.method == b"HEAD" or status in BODILESS or isinstance(body, Tunnel):
            self._end(entry, is_whole=True)
        elif isinstance(body, bytes):
            entry.sent = len(body)
            self._end(entry, is_whole=True)
        elif response.ending is not None and hasattr(body, "received"):
            self._await(response.ending, entry, body)
        else:
            response.body = _Counted(body, entry, self._end)
        return response

    def _await(self, ending: Ending, entry: LogEntry, body: Any) -> None:
        """Logs at the end of a body of HTTP/2, which is not read through this filter."""

        def ended(broken: bool) -> None:
            entry.sent = body.received
            self._end(entry, is_whole=not broken and body.is_complete)

        if ending.has_come:  # while it was held back, see `filters.stream_retries`
            ended(broken=body.is_broken)
        else:
            ending.then(ended)

    def _end(self, entry: LogEntry, *, is_whole: bool) -> None:
        entry.is_whole = is_whole
        entry.ended_at = self._now()
        entry.duration = self._monotonic() - entry.started
        if self._names is not None:
            entry.names = self._names(entry.request)
        self._write(self._form(entry))


class _Counted:
    """Counts what is passed on of *body*, and calls *end* once at its end."""

    __slots__ = ("_body", "_end", "_entry", "_pending")

    def __init__(self, body: Body, entry: LogEntry, end: Callable[..., None]) -> None:
        self._body = body
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
            end(self._entry, is_whole=is_whole)
