"""Parses request and response heads strictly (RFC 9112 sections 2 to 5). Sans IO.

Every line is either checked for control characters at once or known word for word from an earlier
head, so that lines can be forwarded later without another check.
"""

import re

from meshproxy.errors import (
    BadRequest,
    BadResponse,
    HeadersTooLarge,
    HttpVersionNotSupported,
    LoopDetected,
    TargetTooLong,
)
from meshproxy.http import via
from meshproxy.http.headers import MASK, TEXT, TOKEN, Headers, parse_fields, quoted
from meshproxy.http.limits import Limits
from meshproxy.http.memo import Memo

CRLF = b"\r\n"
HEAD_END = b"\r\n\r\n"
FIRST_READ = 16384
"""Bytes read at once where a head begins: body bytes that come with the head are copied, the rest
of a long body is not (`net.pipe`)."""
_MANY_HOPS = 4
"""Fewest proxies of our name in Via at which an oversized head is reported as a loop."""
_TAB = 9
"""The byte as an int, because `in` on bytes first tries to use its operand as an index."""
_METHODS = frozenset(b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE CONNECT".split())
_VERSIONS = {b"HTTP/1.1": b"1.1", b"HTTP/1.0": b"1.0"}
_OTHER_VERSION = re.compile(rb"HTTP/(\d)\.\d").fullmatch
_STATUS_LINE = re.compile(rb"HTTP/1\.\d ([1-9]\d\d)(?: (.*))?").fullmatch


def parse_request(head: bytes) -> tuple[bytes, bytes, bytes, Headers]:
    """Returns method, target, version (`1.1` or `1.0`) and fields; *head* lacks the empty line.

    Raises BadRequest, or HttpVersionNotSupported for a well-formed line of another protocol.
    """
    lines = head.split(CRLF)
    first = lines.pop(0)
    if first.translate(MASK) != first:
        raise BadRequest("control character in the request line")
    method, target, version = parse_request_line(first)
    return method, target, version, parse_fields(lines, BadRequest)


def parse_request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns method, target and version of a line without control characters; raises as above."""
    parts = line.split(b" ")
    if len(parts) != 3 or _TAB in line:
        raise BadRequest("request line is not `METHOD TARGET HTTP/1.1`")
    method, target, protocol = parts
    version = _VERSIONS.get(protocol) or _other_version(protocol)
    if method not in _METHODS and not TOKEN(method):
        raise BadRequest("method is not a token")
    if not target:
        raise BadRequest("request target is empty")
    return method, target, version


def _other_version(protocol: bytes) -> bytes:
    match = _OTHER_VERSION(protocol)
    if not match:
        raise BadRequest("request line is not `METHOD TARGET HTTP/1.1`")
    if match[1] != b"1":
        raise HttpVersionNotSupported("this server speaks HTTP/1.1 and HTTP/1.0")
    return b"1.1"


def parse_response(head: bytes) -> tuple[bytes, int, bytes, Headers]:
    """Returns version (`1.1` or `1.0`), status, reason and fields of an endpoint's head.

    Raises BadResponse. A status line without reason, or without the space before it, is accepted.
    """
    lines = head.split(CRLF)
    first = lines.pop(0)
    version, status, reason = _status_lines.get(first) or _read_status_line(first)
    return version, status, reason, parse_fields(lines, BadResponse)


_status_lines: Memo[bytes, tuple[bytes, int, bytes]] = Memo(256)


def _read_status_line(line: bytes) -> tuple[bytes, int, bytes]:
    """Splits a status line; frequent ones are remembered (256)."""
    match = _STATUS_LINE(line)
    if not match or line.translate(MASK) != line:
        raise BadResponse(f"not an HTTP/1.x status line: {quoted(line)}")
    status, reason = match.groups(b"")
    version = b"1.0" if line[7:8] == b"0" else b"1.1"
    return _status_lines.keep(line, (version, int(status), reason))


def check_request_size(head: bytes, limits: Limits) -> None:
    """Checks the size of *head*, which may be incomplete.

    Raises TargetTooLong, HeadersTooLarge, or LoopDetected if Via shows why it is too large.
    """
    first = head.find(CRLF)
    if (len(head) if first < 0 else first) > limits.first_line:
        raise TargetTooLong("the request line is over maxInitialLineKB")
    if first >= 0 and len(head) - first - 2 > limits.header_bytes:
        hops = via.own_hops_in(head)
        if hops >= _MANY_HOPS:
            raise LoopDetected(
                f"Loop detected: the request has come through {hops} proxies of this kind (Via), "
                "and has grown past maxHeadersKB on the way"
            )
        raise HeadersTooLarge("the header fields are over maxHeadersKB")


def is_hopeless(data: bytes) -> bool:
    """Returns True if *data* cannot become a valid head: a control character, a bare CR or LF."""
    rest = data.replace(CRLF, b"").translate(None, TEXT)
    return bool(rest) and (rest != b"\r" or not data.endswith(b"\r"))
