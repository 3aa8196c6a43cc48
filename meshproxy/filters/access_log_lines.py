"""The lines of the access log: Linkerd's combined format, and a JSON object."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.http import l5d
from meshproxy.http.errors import ErrorResponse
from meshproxy.http.headers import MAX_LINE
from meshproxy.http.memo import Memo
from meshproxy.http.message import EgressDecision, Request, Response
from meshproxy.recent.request import CUT, ENDPOINT, phases_ms, shares, trace_of

_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_MASK = bytes(ord("?") if _UNSAFE.match(bytes([byte])) else byte for byte in range(256))
"""A translation that changes any text with an unsafe byte, which is faster than looking for one."""

_MAX_REASON = 1024
"""Characters of the text of an error."""


class LogEntry:
    """The facts about one request that the log shows; times in seconds.

    It begins with what filters may change on the way of *request*, and *started*, the monotonic
    second. The request itself is read at the end.
    """

    __slots__ = (
        "agent",
        "duration",
        "ended_at",
        "error",
        "host",
        "is_whole",
        "latency",
        "names",
        "referer",
        "request",
        "response",
        "sent",
        "started",
        "status",
        "target",
    )

    def __init__(self, request: Request, started: float) -> None:
        names, lines = request.headers.names, request.headers.lines
        self.request = request
        self.target = request.target
        self.host = lines[names.index(b"host")] if b"host" in names else b""
        """The whole line as received; empty if there is none, as with the next two."""
        self.referer = lines[names.index(b"referer")] if b"referer" in names else b""
        self.agent = lines[names.index(b"user-agent")] if b"user-agent" in names else b""
        self.started = started
        self.ended_at = 0.0
        """Seconds since 1970."""
        self.duration = self.latency = 0.0
        """From the head of the request to the end of the response, and to its head."""
        self.response: Response | None = None
        self.error: BaseException | None = None
        """What was raised instead of a response."""
        self.status: int | None = None
        """None if there was no response."""
        self.sent = 0
        """Bytes of the response body without framing."""
        self.is_whole = False
        """True if the response was passed on to its end."""
        self.names: tuple[str, ...] = ()
        """From the logical name to the bound one, if the form shows them."""

    @property
    def remote(self) -> str:
        """The client's address as `host:port`."""
        return self.request.peer.remote if self.request.peer is not None else ""

    @property
    def code(self) -> str:
        """The short name of an error that the proxy itself responded to."""
        if isinstance(self.response, ErrorResponse):
            return self.response.error
        return self.error.reason if isinstance(self.error, ProxyError) else ""

    @property
    def reason(self) -> str:
        """The text of `l5d-err`, from the proxy or the endpoint."""
        if isinstance(self.response, ErrorResponse):
            return self.response.text[:_MAX_REASON]
        if self.response is not None:
            return l5d.error_text(self.response.headers)[:_MAX_REASON]
        # the connection itself responds to a broken body of its client
        is_told = isinstance(self.error, ProxyError) and not isinstance(self.error, ClientGone)
        return str(self.error)[:_MAX_REASON] if is_told else ""

    @property
    def failure(self) -> str:
        """The reason code of a failure, as `RecentRequest.reason` has it."""
        response = self.response
        if self.code or response is None:
            return self.code or ClientGone.reason
        if self.is_whole:
            return ENDPOINT if response.failed else ""
        return CUT if response.failed and self.status != 101 else ClientGone.reason


_stamp = (0, b"")


def combined(entry: LogEntry) -> bytes:
    r"""Returns Linkerd's line, `HOST REMOTE - - [TIME] "METHOD URI VERSION" STATUS BYTES` and more.

    Two headers follow. Quotes, backslashes, control characters and bytes beyond ASCII are shown as
    `\xHH`; what is absent is `-`.
    """
    request, host, target = entry.request, _values[entry.host], entry.target
    return b'%b %b - - [%b] "%b %b HTTP/%b" %b %d "%b" "%b"\n' % (
        host.replace(b" ", b"\\x20") or b"-",
        _hosts[request.peer.remote] if request.peer is not None else b"-",
        _time(entry.ended_at),
        _methods[request.method],
        target if target.translate(_MASK) == target else _quoted(target),
        request.version,
        b"-" if entry.status is None else b"%d" % entry.status,
        entry.sent,
        _values[entry.referer],
        _values[entry.agent],
    )


def json_line(entry: LogEntry) -> bytes:
    """Returns a JSON object in ASCII; what is absent is null."""
    ended = datetime.fromtimestamp(entry.ended_at, UTC)
    duration_ms, latency_ms = entry.duration * 1000, entry.latency * 1000
    request = entry.request
    fields = {
        "time": ended.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "remote": entry.remote or None,
        "host": _told(entry.host),
        "method": request.method.decode("latin-1"),
        "target": entry.target.decode("latin-1"),
        "version": f"HTTP/{request.version.decode('latin-1')}",
        "status": entry.status,
        "bytes": entry.sent,
        "complete": entry.is_whole,
        "duration_ms": round(duration_ms, 3),
        "referer": _told(entry.referer),
        "user_agent": _told(entry.agent),
        "service": request.dst.show() if request.dst is not None else None,
        "client": request.bound_id.show() if request.bound_id is not None else None,
        "upstream": request.endpoint or None,
        "retries": request.retries,
        "error": entry.code or None,
        "l5d_err": entry.reason or None,
        "reason": entry.failure or None,
        "names": entry.names,
        "trace": trace_of(request) or None,
        "phases_ms": shares(phases_ms(request), latency_ms, duration_ms - latency_ms),
        **_egress_fields(request.egress),
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


def _quoted(value: bytes) -> bytes:
    if value.translate(_MASK) == value:
        return value
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], value)


class _Values(Memo[bytes, bytes]):
    """The quoted values of lines of a head; `-` for an empty line."""

    def __missing__(self, line: bytes) -> bytes:
        value = _quoted(_value(line)) if line else b"-"
        return self.keep(line, value) if len(line) <= MAX_LINE else value


class _Hosts(Memo[str, bytes]):
    """The hosts of addresses such as `192.0.2.1:5000`."""

    def __missing__(self, remote: str) -> bytes:
        host = remote.rpartition(":")[0].strip("[]")
        return self.keep(remote, host.encode("ascii", "replace") or b"-")


class _Methods(Memo[bytes, bytes]):
    """Methods as they are quoted."""

    def __missing__(self, method: bytes) -> bytes:
        value = _quoted(method)
        return self.keep(method, value) if len(method) <= MAX_LINE else value


_methods = _Methods(64)
_values = _Values(1024)
_hosts = _Hosts(1024)


def _value(line: bytes) -> bytes:
    return line.partition(b":")[2].strip(b" \t")


def _told(line: bytes) -> str | None:
    return _value(line).decode("latin-1") if line else None


def _time(moment: float) -> bytes:
    """Returns *moment* in local time as Linkerd shows it, formatted once a second."""
    global _stamp  # noqa: PLW0603 - one immutable pair, replaced as a whole
    second = int(moment)
    if _stamp[0] != second:
        shown = time.strftime("%d/%m/%Y:%H:%M:%S %Z", time.localtime(second))
        _stamp = (second, shown.encode("ascii", "replace"))
    return _stamp[1]
