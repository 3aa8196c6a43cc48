"""The lines of the access log: Linkerd's combined format, and a JSON object."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from meshproxy.http.message import EgressDecision
from meshproxy.recent.request import shares

_UNSAFE = re.compile(rb"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_MASK = bytes(ord("?") if _UNSAFE.match(bytes([byte])) else byte for byte in range(256))
"""A translation that changes any text with an unsafe byte, which is faster than looking for one."""


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
    latency: float = 0.0
    """From the head of the request to that of the response."""
    failure: str = ""
    """Reason code of a failure, as `RecentRequest.reason` has it."""
    names: tuple[str, ...] = ()
    """From the logical name to the bound one, if the form shows them."""
    trace: str = ""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds that it waited, by phase."""


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
    duration_ms, latency_ms = entry.duration * 1000, entry.latency * 1000
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
        "duration_ms": round(duration_ms, 3),
        "referer": _text(entry.referer),
        "user_agent": _text(entry.agent),
        "service": entry.service or None,
        "client": entry.client or None,
        "upstream": entry.endpoint or None,
        "retries": entry.retries,
        "error": entry.error or None,
        "l5d_err": entry.reason or None,
        "reason": entry.failure or None,
        "names": entry.names,
        "trace": entry.trace or None,
        "phases_ms": shares(entry.phases, latency_ms, duration_ms - latency_ms),
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
    if value.translate(_MASK) == value:
        return value
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
