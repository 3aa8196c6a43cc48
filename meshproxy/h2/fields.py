"""What a field section says: the rules of request and response heads, and of trailers.

RFC 9113 sections 8.1 to 8.3. A section is judged once for each block that recurs, and keeps what
has been made of it; so heads are values that nobody changes, and `headers` makes the fields that
filters may change. Of a block that has the shape of one before, the new values alone are judged.
Host comes first, and is what `:authority` says.
"""

import re
from dataclasses import dataclass
from operator import itemgetter

from meshproxy.h2 import names as known
from meshproxy.h2.plan import Plan
from meshproxy.h2.section import FieldSection
from meshproxy.h2.split import MalformedSection, split
from meshproxy.http.headers import TOKEN, Headers, lines_of
from meshproxy.http.trailers import is_forbidden

_METHODS = frozenset(b"GET HEAD POST PUT DELETE OPTIONS PATCH".split())
"""Usual methods, whose requests all have a path."""
_SCHEMES = frozenset((b"http", b"https"))
_MAX_LENGTH_DIGITS = 18
_NAME, _VALUE = itemgetter(0), itemgetter(1)
_SINGLE = frozenset((b"host", b"cookie", b"content-length"))
"""Names that a request has once, or that are made one."""
_AUTHORITY = re.compile(rb"[^\x00-\x20\x7f@/?#\\]*").fullmatch
_PATH = re.compile(rb"/[^\x00-\x20\x7f#]*").fullmatch
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*").fullmatch
_STATUS = re.compile(rb"[1-5][0-9]{2}").fullmatch
_REQUEST_PSEUDO = frozenset((b":method", b":scheme", b":authority", b":path"))
_RESPONSE_PSEUDO = frozenset((b":status",))
_NO_PSEUDO: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class Fields:
    """The fields of a section but its pseudo-fields: names, and lines as HTTP/1.1 has them."""

    names: tuple[bytes, ...]
    lines: tuple[bytes, ...]
    never_indexed: frozenset[bytes]
    """Names of fields that must be passed on as never indexed (RFC 7541 section 6.2.3)."""

    def headers(self) -> Headers:
        """Returns the fields, to be changed at will."""
        return Headers([*self.names], [*self.lines], self.never_indexed)  # `list` takes longer


@dataclass(slots=True)
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


@dataclass(slots=True)
class ResponseHead(Fields):
    """A response but for its body; *status* below 200 is an interim one."""

    status: int
    length: int | None


def request_head(section: FieldSection) -> RequestHead:
    """Returns the head of a request, and keeps it as `section.head`. Raises MalformedSection."""
    shape = section.shape
    plan: Plan | None = shape.plan
    if plan is not None and (lines := plan.lines(section)) is not None:
        first, values = plan.head, section.values
        path = first.path if plan.path_at < 0 else values[plan.path_at]
        if path is first.path or _PATH(path):
            section.head = head = RequestHead(
                first.names, lines, shape.never_indexed, first.method, first.scheme,
                first.authority, path,
                first.length if plan.length_at < 0 else _number(values[plan.length_at]),
            )  # fmt: skip
            return head
    section.head = head = _request_head(section)
    if plan is None and shape.recurs:
        shape.plan = Plan.of(shape, head, head.authority)
    return head


def _request_head(section: FieldSection) -> RequestHead:
    """Judges all values of a section, and the names if they are not known."""
    found = known.requests.usual(section)
    if found is not None:
        names, values = found
        method, scheme, authority, path = names.pseudo(values)
        if (
            method in _METHODS
            and (scheme in _SCHEMES or _SCHEME(scheme))
            and (authority and _AUTHORITY(authority))
            and _PATH(path)
        ):
            at = names.length_at
            return RequestHead(
                names.others, names.lines(values, authority), section.never_indexed,
                method, scheme, authority, path, None if at < 0 else _number(values[at]),
            )  # fmt: skip
    head = _judged(section)
    known.requests.learn(section.fields)
    return head


def _judged(section: FieldSection) -> RequestHead:
    """Judges the section of a request as a whole."""
    pseudo, names, values = split(section, _REQUEST_PSEUDO)
    method = pseudo.get(b":method", b"")
    if not TOKEN(method):
        raise MalformedSection(":method is missing or not a token")
    authority = pseudo.get(b":authority")
    length = None
    if _SINGLE.isdisjoint(names):
        authority = _checked(authority or b"")
    else:
        authority = _authority(authority, names, values)
        if names.count(b"cookie") > 1:
            _join_cookies(names, values)
        length = _length(names, values)
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
        names.insert(0, b"host")
        values.insert(0, authority)
    return RequestHead(
        tuple(names), lines_of(names, values), section.never_indexed,
        method, scheme, authority, path, length,
    )  # fmt: skip


def response_head(section: FieldSection) -> ResponseHead:
    """Returns the head of a response, and keeps it as `section.head`. Raises MalformedSection."""
    shape = section.shape
    plan: Plan | None = shape.plan
    if plan is not None and (lines := plan.lines(section)) is not None:
        first = plan.head
        section.head = head = ResponseHead(
            first.names, lines, shape.never_indexed, first.status,
            first.length if plan.length_at < 0 else _number(section.values[plan.length_at]),
        )  # fmt: skip
        return head
    head = _response_head(section)
    section.head = head
    if plan is None and shape.recurs:
        shape.plan = Plan.of(shape, head)
    return head


def _response_head(section: FieldSection) -> ResponseHead:
    """Judges all values of a section, and the names if they are not known."""
    found = known.responses.usual(section)
    if found is not None:
        usual, values = found
        status, at = usual.pseudo(values), usual.length_at
        length = None if at < 0 else _number(values[at])
        names, lines = usual.others, usual.lines(values)
    else:
        pseudo, others, values = split(section, _RESPONSE_PSEUDO)
        status = pseudo.get(b":status", b"")
        names, lines, length = tuple(others), lines_of(others, values), _length(others, values)
    if not _STATUS(status) or status == b"101":
        raise MalformedSection(":status is missing, not a status, or 101")
    if found is None:
        known.responses.learn(section.fields)
    return ResponseHead(names, lines, section.never_indexed, int(status), length)


def trailers(section: FieldSection) -> Headers:
    """Returns the fields after a body, none of them pseudo-fields, and keeps them in *section*.

    Those that are for heads alone are left out, as from HTTP/1. The same block gives the same
    object, which must not be changed. Raises MalformedSection.
    """
    shape = section.shape
    plan: Plan | None = shape.trailer_plan
    if plan is not None and (lines := plan.lines(section)) is not None:
        fields = Fields(plan.head.names, lines, shape.never_indexed)
    else:
        _, names, values = split(section, _NO_PSEUDO)
        is_whole = not any(map(is_forbidden, names))
        if not is_whole:
            pairs = [pair for pair in zip(names, values, strict=True) if not is_forbidden(pair[0])]
            names, values = [*map(_NAME, pairs)], [*map(_VALUE, pairs)]
        fields = Fields(tuple(names), lines_of(names, values), shape.never_indexed)
        if plan is None and shape.recurs and is_whole:
            shape.trailer_plan = Plan.of(shape, fields)
    section.trailers = headers = fields.headers()
    return headers


def _authority(authority: bytes | None, names: list[bytes], values: list[bytes]) -> bytes:
    """Returns what the request is for, and takes Host away, which must say the same if both do."""
    found = authority
    if b"host" in names:
        at = names.index(b"host")
        del names[at]
        found = values.pop(at)
        if b"host" in names or (authority is not None and authority != found):
            raise MalformedSection("Host comes twice, or is not what :authority is")
    return _checked(found or b"")


def _checked(authority: bytes) -> bytes:
    if not _AUTHORITY(authority):
        raise MalformedSection("the authority has characters that are not allowed there")
    return authority


def _join_cookies(names: list[bytes], values: list[bytes]) -> None:
    """Makes all Cookie fields one, since they may be split in HTTP/2 alone."""
    pairs = list(zip(names, values, strict=True))
    cookies = [value for name, value in pairs if name == b"cookie"]
    others = [pair for pair in pairs if pair[0] != b"cookie"]
    names[:] = [*(name for name, _ in others), b"cookie"]
    values[:] = [*(value for _, value in others), b"; ".join(cookies)]


def _length(names: list[bytes], values: list[bytes]) -> int | None:
    if b"content-length" not in names:
        return None
    first = values[names.index(b"content-length")]
    if names.count(b"content-length") > 1:
        pairs = zip(names, values, strict=True)
        if {value for name, value in pairs if name == b"content-length"} != {first}:
            raise MalformedSection("Content-Length is there with several values")
    return _number(first)


def _number(length: bytes) -> int:
    if not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS:
        raise MalformedSection("Content-Length is not a number")
    return int(length)
