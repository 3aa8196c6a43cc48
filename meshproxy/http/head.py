"""Request and response heads from bytes, strictly (RFC 9112 sections 2 to 5). Sans IO.

Every line is looked at once for control characters, or is known word for word from an earlier
head; after that, lines can be passed on without being looked at again.
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
"""Bytes read at once where a head begins: what comes of a long body with it is copied, the rest is
not (`net.pipe`)."""
_MANY_HOPS = 4
"""Proxies of our name that no request comes through without a loop to be too large after them."""
_TAB = 9
"""As a number: to look for bytes tries first to make a number of them, and fails: 0.2 us."""
_METHODS = frozenset(b"GET HEAD POST PUT DELETE OPTIONS PATCH TRACE CONNECT".split())
_VERSIONS = {b"HTTP/1.1": b"1.1", b"HTTP/1.0": b"1.0"}
_OTHER_VERSION = re.compile(rb"HTTP/(\d)\.\d").fullmatch
_STATUS_LINE = re.compile(rb"HTTP/1\.\d ([1-9]\d\d)(?: (.*))?").fullmatch


def parse_request(head: bytes) -> tuple[bytes, bytes, bytes, Headers]:
    """Method, target, version (`1.1` or `1.0`) and fields of a head without its final empty line.

    Raises BadRequest, or HttpVersionNotSupported for a well-formed line of another protocol.
    """
    lines = head.split(CRLF)
    first = lines.pop(0)
    if first.translate(MASK) != first:
        raise BadRequest("control character in the request line")
    method, target, version = parse_request_line(first)
    return method, target, version, parse_fields(lines, BadRequest)


def parse_request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Method, target and version of a line without control characters; raises as above."""
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
    """Version (`1.1` or `1.0`), status, reason and fields of a head from an endpoint.

    Raises BadResponse. A status line without reason, or without the space before it, is accepted.
    """
    lines = head.split(CRLF)
    first = lines.pop(0)
    version, status, reason = _status_lines.get(first) or _read_status_line(first)
    return version, status, reason, parse_fields(lines, BadResponse)


_status_lines: Memo[bytes, tuple[bytes, int, bytes]] = Memo(256)


def _read_status_line(line: bytes) -> tuple[bytes, int, bytes]:
    """Take a status line apart; usual ones are remembered (256)."""
    match = _STATUS_LINE(line)
    if not match or line.translate(MASK) != line:
        raise BadResponse(f"not an HTTP/1.x status line: {quoted(line)}")
    status, reason = match.groups(b"")
    version = b"1.0" if line[7:8] == b"0" else b"1.1"
    return _status_lines.keep(line, (version, int(status), reason))


def check_request_size(head: bytes, limits: Limits) -> None:
    """Check *head*, or what has come of it.

    Raises TargetTooLong, HeadersTooLarge, or LoopDetected where Via says why it is too large.
    """
    first = head.find(CRLF)
    if (len(head) if first < 0 else first) > limits.first_line:
        raise TargetTooLong("the request line is over maxInitialLineKB")
    if first >= 0 and len(head) - first - 2 > limits.header_bytes:
        hops = via.own_hops_in(head)
        if hops >= _MANY_HOPS:
            raise LoopDetected(
                f"Loop detected: the request has come through {hops} proxies of this kind (Via), "
                "and has outgrown maxHeadersKB on its way"
            )
        raise HeadersTooLarge("the header fields are over maxHeadersKB")


def is_hopeless(data: bytes) -> bool:
    """No further byte can make a head of *data*: a control character, a bare CR or a bare LF."""
    rest = data.replace(CRLF, b"").translate(None, TEXT)
    return bool(rest) and (rest != b"\r" or not data.endswith(b"\r"))
