"""What a field section says: the rules of request and response heads, and of trailers.

RFC 9113 sections 8.1 to 8.3. A section is judged once for each block that recurs, see
`decoder.FieldSection`; so heads are values, and `headers` makes the fields that filters may change.
Host comes first, and is what `:authority` says.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from meshproxy.h2.decoder import FieldSection
from meshproxy.h2.static_table import Field
from meshproxy.http.headers import MASK, TOKEN, Headers
from meshproxy.http.memo import Memo

_CONNECTION_FIELDS = frozenset(
    b"connection keep-alive proxy-connection transfer-encoding upgrade".split()
)
_MAX_LENGTH_DIGITS = 18
_LONGEST_KNOWN = 64
_names: Memo[bytes, None] = Memo(2048)
"""Names that are sound."""
_AUTHORITY = re.compile(rb"[^\x00-\x20\x7f@/?#\\]*").fullmatch
_PATH = re.compile(rb"/[^\x00-\x20\x7f#]*").fullmatch
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*").fullmatch
_STATUS = re.compile(rb"[1-5][0-9]{2}").fullmatch
_REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path"))
_RESPONSE_PSEUDO = frozenset((b":status",))


class MalformedSection(ValueError):
    """A field section that breaks a rule of RFC 9113: its stream ends with PROTOCOL_ERROR."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a section apart from its pseudo-fields: names, and lines as HTTP/1.1 has them.

    This is also what trailers are.
    """

    names: tuple[bytes, ...]
    lines: tuple[bytes, ...]
    never_indexed: frozenset[bytes]
    """Names of fields that must be passed on as never indexed (RFC 7541 section 6.2.3)."""

    def headers(self) -> Headers:
        """Returns the fields, to be changed at will."""
        return Headers(list(self.names), list(self.lines))


@dataclass(frozen=True, slots=True)
class RequestHead(Fields):
    """A request but for its body."""

    method: bytes
    scheme: bytes
    """Empty for CONNECT."""
    authority: bytes
    """Empty if the client names none."""
    path: bytes
    """As HTTP/1.1's request target: a path, `*`, or the authority of CONNECT."""
    length: int | None
    """Content-Length, which the body must match."""


@dataclass(frozen=True, slots=True)
class ResponseHead(Fields):
    """A response but for its body; *status* below 200 is an interim one."""

    status: int
    length: int | None


def request_head(section: FieldSection) -> RequestHead:
    """Returns the head of a request. Raises MalformedSection."""
    known = section.judged
    if type(known) is RequestHead:
        return known
    pseudo, regular = _split(section, _REQUEST_PSEUDO)
    method = pseudo.get(b":method", b"")
    if not TOKEN(method):
        raise MalformedSection(":method is missing or not a token")
    authority = _authority(pseudo.get(b":authority"), regular)
    if method == b"CONNECT":
        if not authority or b":scheme" in pseudo or b":path" in pseudo:
            raise MalformedSection("CONNECT has :method and :authority alone")
        scheme, path = b"", authority
    else:
        scheme, path = pseudo.get(b":scheme", b""), pseudo.get(b":path", b"")
        if not _SCHEME(scheme):
            raise MalformedSection(":scheme is missing or not one")
        if not _PATH(path) and not (path == b"*" and method == b"OPTIONS"):
            raise MalformedSection(":path is missing or does not begin with `/`")
    if authority:
        regular.insert(0, (b"host", authority))
    head = RequestHead(
        *_lines(_join_cookies(regular)), section.never_indexed,
        method, scheme, authority, path, _length(regular),
    )  # fmt: skip
    section.judged = head
    return head


def response_head(section: FieldSection) -> ResponseHead:
    """Returns the head of a response. Raises MalformedSection."""
    known = section.judged
    if type(known) is ResponseHead:
        return known
    pseudo, regular = _split(section, _RESPONSE_PSEUDO)
    status = pseudo.get(b":status", b"")
    if not _STATUS(status) or status == b"101":
        raise MalformedSection(":status is missing, not a status, or 101")
    head = ResponseHead(*_lines(regular), section.never_indexed, int(status), _length(regular))
    section.judged = head
    return head


def trailers(section: FieldSection) -> Fields:
    """Returns the fields after a body, which have no pseudo-fields. Raises MalformedSection."""
    known = section.judged
    if type(known) is Fields:
        return known
    _, regular = _split(section, frozenset())
    fields = Fields(*_lines(regular), section.never_indexed)
    section.judged = fields
    return fields


def _split(
    section: FieldSection, allowed: frozenset[bytes]
) -> tuple[dict[bytes, bytes], list[Field]]:
    """Returns the pseudo-fields and the others, each of them checked."""
    pseudo: dict[bytes, bytes] = {}
    regular: list[Field] = []
    for name, value in section.fields:
        if value.translate(MASK) != value:
            raise MalformedSection("control character in a field value")
        if name[:1] == b":":
            if regular or name in pseudo or name not in allowed:
                raise MalformedSection(f"pseudo-field {_shown(name)} is unknown, twice or late")
            pseudo[name] = value
            continue
        if name not in _names:
            _check_name(name)
        if value and (value[0] in b" \t" or value[-1] in b" \t"):
            raise MalformedSection(f"white space around the value of {_shown(name)}")
        if name in _CONNECTION_FIELDS or (name == b"te" and value != b"trailers"):
            raise MalformedSection(f"{_shown(name)} is a field of the connection")
        regular.append((name, value))
    return pseudo, regular


def _check_name(name: bytes) -> None:
    if not TOKEN(name) or name != name.lower():
        raise MalformedSection(f"{_shown(name)} is not a field name in lower case")
    if len(name) <= _LONGEST_KNOWN:
        _names.keep(name, None)


def _authority(authority: bytes | None, regular: list[Field]) -> bytes:
    """Returns what the request is for, and takes Host away, which must say the same if both do."""
    hosts = [value for name, value in regular if name == b"host"]
    if hosts:
        regular[:] = [field for field in regular if field[0] != b"host"]
    known = {*hosts} if authority is None else {authority, *hosts}
    if len(known) > 1 or len(hosts) > 1:
        raise MalformedSection("Host and :authority are for different hosts, or Host comes twice")
    found = known.pop() if known else b""
    if not _AUTHORITY(found):
        raise MalformedSection("the authority has characters that are not allowed there")
    return found


def _join_cookies(regular: list[Field]) -> list[Field]:
    """Returns the fields with all Cookie lines as one, since they may be split in HTTP/2 alone."""
    cookies = [value for name, value in regular if name == b"cookie"]
    if len(cookies) < 2:
        return regular
    others = [field for field in regular if field[0] != b"cookie"]
    return [*others, (b"cookie", b"; ".join(cookies))]


def _length(regular: list[Field]) -> int | None:
    values = {value for name, value in regular if name == b"content-length"}
    if not values:
        return None
    value = values.pop()
    if values or not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise MalformedSection("Content-Length is not a number, or several ones")
    return int(value)


def _lines(regular: Iterable[Field]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    pairs = [(name, b"%b: %b" % (name, value)) for name, value in regular]
    return tuple(name for name, _ in pairs), tuple(line for _, line in pairs)


def _shown(name: bytes) -> str:
    return f"`{name[:64].translate(MASK).decode('latin-1')}`"
