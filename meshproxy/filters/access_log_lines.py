"""The lines of the access log: Linkerd's combined format, and a JSON object."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from json import JSONEncoder
from typing import Any, NamedTuple, Protocol

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.http import l5d
from meshproxy.http.errors import ErrorResponse
from meshproxy.http.headers import MAX_LINE, value_of
from meshproxy.http.memo import Memo
from meshproxy.http.message import EgressDecision, Request, Response
from meshproxy.recent.request import CUT, ENDPOINT, phases_ms, shares, trace_of

_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_MASK = bytes(ord("?") if _UNSAFE.match(bytes([byte])) else byte for byte in range(256))
"""A translation that changes any text with an unsafe byte, which is faster than looking for one."""

_encode = JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""Made once: `json.dumps` makes an encoder for each line, which takes as long as encoding it."""
_MAX_REASON = 1024
"""Characters of the text of an error."""
_LOGGED = (b"host", b"referer", b"user-agent")
_MAX_NAMES = 512
"""Bytes of all names of a head, up to which their places are remembered."""


Asked = tuple[bytes, bytes, bytes, bytes]
"""The target of a request and its lines of Host, Referer and User-Agent, b"" for none, as they were
received: filters may change them on its way."""


class LogEntry(NamedTuple):
    """The facts about one request that the log shows; times in seconds.

    Forms take them one by one, which is faster than making this for a line that shows few of them.
    """

    request: Request
    asked: Asked
    response: Response | None
    error: BaseException | None
    """What was raised instead of a response."""
    status: int | None
    """None if there was no response."""
    sent: int
    """Bytes of the response body without framing."""
    is_whole: bool
    """True if the response was passed on to its end."""
    latency: float
    """From the head of the request to the head of the response."""
    duration: float
    """From the head of the request to the end of the response."""
    ended_at: float
    """Since 1970."""
    names: tuple[str, ...]
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


class Form(Protocol):
    """Makes a line of the facts of a `LogEntry`."""

    def __call__(
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
        ended_at: float,
        names: tuple[str, ...],
        /,
    ) -> bytes:
        """Returns the line, with its end."""
        ...


def combined(
    request: Request,
    asked: Asked,
    _response: Response | None,
    _error: BaseException | None,
    status: int | None,
    sent: int,
    _is_whole: bool,
    _latency: float,
    _duration: float,
    ended_at: float,
    _names: tuple[str, ...],
    /,
) -> bytes:
    r"""Returns Linkerd's line, `HOST REMOTE - - [TIME] "METHOD URI VERSION" STATUS BYTES` and more.

    Two headers follow. Quotes, backslashes, control characters and bytes beyond ASCII are shown as
    `\xHH`; what is absent is `-`.
    """
    target, host, referer, agent = asked
    peer = request.peer
    begins, ends, stamp = _second
    if not begins <= ended_at < ends:
        stamp = _next_second(ended_at)
    return b"".join(
        (
            _hosts[host],
            b" - - - [" if peer is None else _addresses[peer.remote],
            stamp,
            _methods[request.method],
            target if target.translate(_MASK) == target else _quoted(target),
            _statuses[request.version, status],
            b"%d" % sent,
            _referers[referer],
            _agents[agent],
        )
    )


def json_line(*facts: Any) -> bytes:
    """Returns a JSON object in ASCII; what is absent is null. *facts* are those of `LogEntry`."""
    entry = LogEntry(*facts)
    ended = datetime.fromtimestamp(entry.ended_at, UTC)
    duration_ms, latency_ms = entry.duration * 1000, entry.latency * 1000
    request = entry.request
    target, host, referer, agent = entry.asked
    fields = {
        "time": ended.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "remote": entry.remote or None,
        "host": _told(host),
        "method": request.method.decode("latin-1"),
        "target": target.decode("latin-1"),
        "version": f"HTTP/{request.version.decode('latin-1')}",
        "status": entry.status,
        "bytes": entry.sent,
        "complete": entry.is_whole,
        "duration_ms": round(duration_ms, 3),
        "referer": _told(referer),
        "user_agent": _told(agent),
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
    return _encode(fields).encode("ascii") + b"\n"


def _egress_fields(made: EgressDecision | None) -> dict[str, object]:
    return {
        "decision": made.decision if made is not None else None,
        "rule": made.rule if made is not None else None,
        "reported": made.reported if made is not None else (),
        "caller": (made.caller or None) if made is not None else None,
    }


FORMATS: dict[str, Form] = {"combined": combined, "json": json_line}
"""The forms by the value of `httpAccessLogFormat`."""


def _quoted(value: bytes) -> bytes:
    if value.translate(_MASK) == value:
        return value
    return _UNSAFE.sub(lambda match: b"\\x%02X" % match[0][0], value)


class _Pieces(Memo[bytes, bytes]):
    """The pieces of lines that *form* makes of header lines and the like, for those that recur."""

    __slots__ = ("_form",)

    def __init__(self, limit: int, form: Callable[[bytes], bytes]) -> None:
        super().__init__(limit)
        self._form = form

    def __missing__(self, line: bytes) -> bytes:
        piece = self._form(line)
        return self.keep(line, piece) if len(line) <= MAX_LINE else piece


class _Addresses(Memo[str, bytes]):
    """The hosts of addresses such as `192.0.2.1:5000`, and what is around them."""

    def __missing__(self, remote: str) -> bytes:
        host = remote.rpartition(":")[0].strip("[]").encode("ascii", "replace")
        return self.keep(remote, b" %b - - [" % (host or b"-"))


class _Statuses(Memo[tuple[bytes, int | None], bytes]):
    """Versions and statuses, and what is around them."""

    def __missing__(self, key: tuple[bytes, int | None]) -> bytes:
        version, status = key
        shown = b"-" if status is None else b"%d" % status
        return self.keep(key, b' HTTP/%b" %b ' % (version, shown))


def _shown(line: bytes) -> bytes:
    return _quoted(value_of(line)) if line else b"-"


class _Places(Memo[tuple[bytes, ...], tuple[int, int, int]]):
    """Where Host, Referer and User-Agent are among the names of a head; -1 for those absent."""

    def __missing__(self, names: tuple[bytes, ...]) -> tuple[int, int, int]:
        host, referer, agent = (names.index(name) if name in names else -1 for name in _LOGGED)
        found = host, referer, agent
        return self.keep(names, found) if sum(map(len, names)) <= _MAX_NAMES else found


places = _Places(512)
_hosts = _Pieces(1024, lambda line: _shown(line).replace(b" ", b"\\x20") or b"-")
_addresses = _Addresses(1024)
_second = (0.0, 0.0, b"")
"""When the present second began and ends, in seconds since 1970, and its text with what follows."""
_methods = _Pieces(64, lambda method: _quoted(method) + b" ")
_statuses = _Statuses(512)
_referers = _Pieces(1024, lambda line: b' "%b" "' % _shown(line))
_agents = _Pieces(1024, lambda line: b'%b"\n' % _shown(line))


def _next_second(moment: float) -> bytes:
    """Returns *moment* in local time as Linkerd shows it, and what follows it."""
    global _second  # noqa: PLW0603 - one immutable triple, replaced as a whole
    second = int(moment)
    shown = time.strftime("%d/%m/%Y:%H:%M:%S %Z", time.localtime(second))
    _second = float(second), second + 1.0, shown.encode("ascii", "replace") + b'] "'
    return _second[2]


def _told(line: bytes) -> str | None:
    return value_of(line).decode("latin-1") if line else None
