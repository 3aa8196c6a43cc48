"""A log line for each request of a client, in Linkerd's combined format or as a JSON object.

linkerd: linkerd/protocol/http/.../AccessLogger.scala. Nothing is written to a file here: lines go
to a function that does not wait.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.http import l5d
from meshproxy.http.body import Body
from meshproxy.http.errors import ErrorResponse
from meshproxy.http.framing import BODILESS
from meshproxy.http.headers import Headers
from meshproxy.http.message import EgressDecision, Ending, Request, Response
from meshproxy.net.tunnel import Tunnel
from meshproxy.service import Service

_MAX_ERROR = 1024
_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")


@dataclass(slots=True)
class LogEntry:
    """The facts about one request that the log shows; times in seconds, texts as received."""

    remote: str
    host: bytes | None
    method: bytes
    target: bytes
    version: bytes
    referer: bytes | None
    agent: bytes | None
    started: float
    """Monotonic second."""
    ended_at: float = 0.0
    """Seconds since 1970."""
    duration: float = 0.0
    """From the head of the request to the end of the response."""
    status: int | None = None
    """None if there was no response."""
    sent: int = 0
    """Bytes of the response body without framing."""
    is_whole: bool = False
    """True if the response was passed on to its end."""
    service: str = ""
    client: str = ""
    endpoint: str = ""
    retries: int = 0
    error: str = ""
    """Short name of an error that the proxy itself responded to."""
    reason: str = ""
    """Text of `l5d-err`, from the proxy or the endpoint."""
    egress: EgressDecision | None = None


class AccessLog:
    """Passes a line, made by *form*, to *write* when a response has ended."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        form: Callable[[LogEntry], bytes],
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._write = write
        self._form = form
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
            self._end(request, entry, is_whole=False)
            raise
        entry.status = response.status
        if isinstance(response, ErrorResponse):
            entry.error, entry.reason = response.error, response.text[:_MAX_ERROR]
        else:
            entry.reason = l5d.error_text(response.headers)[:_MAX_ERROR]
        body = response.body
        if request.method == b"HEAD" or response.status in BODILESS or isinstance(body, Tunnel):
            self._end(request, entry, is_whole=True)
        elif isinstance(body, bytes):
            entry.sent = len(body)
            self._end(request, entry, is_whole=True)
        elif response.ending is not None and hasattr(body, "received"):
            self._await(response.ending, request, entry, body)
        else:
            response.body = _Counted(body, request, entry, self._end)
        return response

    def _await(self, ending: Ending, request: Request, entry: LogEntry, body: Any) -> None:
        """Logs at the end of a body of HTTP/2, which is not read through this filter."""

        def ended(broken: bool) -> None:
            entry.sent = body.received
            self._end(request, entry, is_whole=not broken)

        ending.then(ended)

    def _end(self, request: Request, entry: LogEntry, *, is_whole: bool) -> None:
        entry.is_whole = is_whole
        entry.ended_at = self._now()
        entry.duration = self._monotonic() - entry.started
        entry.service = request.dst.show() if request.dst is not None else ""
        entry.client = request.bound_id.show() if request.bound_id is not None else ""
        entry.endpoint = request.endpoint
        entry.retries = request.retries
        entry.egress = request.egress
        self._write(self._form(entry))


class _Counted:
    """Counts what is passed on of *body*, and calls *end* once at its end."""

    __slots__ = ("_body", "_end", "_entry", "_pending", "_request")

    def __init__(
        self, body: Body, request: Request, entry: LogEntry, end: Callable[..., None]
    ) -> None:
        self._body = body
        self._request = request
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
            end(self._request, self._entry, is_whole=is_whole)


_stamp = (0, "")


def combined(entry: LogEntry) -> bytes:
    r"""Returns Linkerd's line, `HOST REMOTE - - [TIME] "METHOD URI VERSION" STATUS BYTES` and more.

    Two headers follow. Quotes, backslashes, control characters and bytes beyond ASCII are shown as
    `\xHH`; what is absent is `-`.
    """
    return b'%b %b - - [%b] "%b %b HTTP/%b" %b %d "%b" "%b"\n' % (
        _quoted(entry.host).replace(b" ", b"\\x20") or b"-",
        _host(entry.remote).encode("ascii", "replace") or b"-",
        _time(entry.ended_at).encode("ascii", "replace"),
        _quoted(entry.method),
        _quoted(entry.target),
        entry.version,
        b"%d" % entry.status if entry.status is not None else b"-",
        entry.sent,
        _quoted(entry.referer),
        _quoted(entry.agent),
    )


def json_line(entry: LogEntry) -> bytes:
    """Returns a JSON object in ASCII; what is absent is null."""
    ended = datetime.fromtimestamp(entry.ended_at, UTC)
    fields = {
        "time": ended.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "remote": entry.remote or None,
        "host": _text(entry.host),
        "method": _text(entry.method),
        "target": _text(entry.target),
        "version": f"HTTP/{_text(entry.version)}",
        "status": entry.status,
        "bytes": entry.sent,
        "complete": entry.is_whole,
        "duration_ms": round(entry.duration * 1000, 3),
        "referer": _text(entry.referer),
        "user_agent": _text(entry.agent),
        "service": entry.service or None,
        "client": entry.client or None,
        "upstream": entry.endpoint or None,
        "retries": entry.retries,
        "error": entry.error or None,
        "l5d_err": entry.reason or None,
        **_egress_fields(entry.egress),
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def _egress_fields(made: EgressDecision | None) -> dict[str, object]:
    return {
        "decision": made.decision if made is not None else None,
        "rule": made.rule if made is not None else None,
        "reported": made.reported if made is not None else (),
        "caller": (made.caller or None) if made is not None else None,
    }


FORMATS: dict[str, Callable[[LogEntry], bytes]] = {"combined": combined, "json": json_line}
"""The forms by the value of `httpAccessLogFormat`."""


def _quoted(value: bytes | None) -> bytes:
    if value is None:
        return b"-"
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], value)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _host(remote: str) -> str:
    return remote.rpartition(":")[0].strip("[]")


def _time(moment: float) -> str:
    """Returns *moment* in local time as Linkerd shows it, formatted once a second."""
    global _stamp  # noqa: PLW0603 - one immutable pair, replaced as a whole
    second = int(moment)
    if _stamp[0] != second:
        _stamp = (second, time.strftime("%d/%m/%Y:%H:%M:%S %Z", time.localtime(second)))
    return _stamp[1]
