"""The tags of spans, by what a request says and by what becomes of it.

They are Linkerd's (finagle: http/filter/..., tracing/Annotation.scala).
"""

from typing import Final

from meshproxy.http.headers import Headers
from meshproxy.naming.path import Path

MAX_BYTES: Final = 1024
"""Longest header line, target or dtab of a span, which is cut there: many spans may be queued."""


_DESCRIBED: Final = frozenset((b"content-length", b"content-type", b"transfer-encoding"))
_NOTHING: Final = (b"", b"", b"")


def described(headers: Headers) -> tuple[bytes, bytes, bytes]:
    """Returns the lines of Content-Length, Content-Type and Transfer-Encoding, b"" for none."""
    names, lines = headers.names, headers.lines
    if _DESCRIBED.isdisjoint(names):
        return _NOTHING
    length = kind = coding = b""
    if b"content-length" in names:
        length = lines[names.index(b"content-length")][:MAX_BYTES]
    if b"content-type" in names:
        kind = lines[names.index(b"content-type")][:MAX_BYTES]
    if b"transfer-encoding" in names:
        coding = lines[names.index(b"transfer-encoding")][:MAX_BYTES]
    return length, kind, coding


def request_tags(
    method: str,
    version: bytes,
    host: bytes,
    kind: bytes,
    coding: bytes,
    service: str,
    dtab: str,
    dst: Path | None,
) -> dict[str, str]:
    """Returns the tags of a request."""
    tags = {
        "http.req.method": method,
        "http.req.version": "HTTP/" + version.decode("ascii"),
        "router.label": service,
    }
    if host:
        tags["http.req.host"] = value_of(host)
    if kind:
        tags["http.req.content-type"] = value_of(kind)
    if coding:
        tags["http.req.transfer-encoding"] = value_of(coding)
    if dtab:
        tags["dtab.local"] = dtab
    if dst is not None:
        tags["service"] = dst.show()
    return tags


def outcome_tags(
    error: str,
    status: int = 0,
    version: bytes = b"",
    kind: bytes = b"",
    coding: bytes = b"",
    failed: bool = False,
    retryable: bool = False,
) -> dict[str, str]:
    """Returns the tags of what became of a request or an attempt; *status* is 0 for nothing."""
    tags = {"error": error} if error else {}
    if not status:
        return tags
    tags["http.rsp.status"] = str(status)
    tags["http.rsp.version"] = "HTTP/" + version.decode("ascii")
    if kind:
        tags["http.rsp.content-type"] = value_of(kind)
    if coding:
        tags["http.rsp.transfer-encoding"] = value_of(coding)
    if not failed:
        tags["l5d.success"] = "1.0"
    elif retryable:
        tags["l5d.retryable"] = "0.0"
    else:
        tags["l5d.failure"] = "0.0"
    return tags


def value_of(line: bytes) -> str:
    """Returns the value of a header line."""
    return line.partition(b":")[2].strip(b" \t").decode("latin-1")
