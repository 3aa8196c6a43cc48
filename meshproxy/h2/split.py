"""Splits a field section into pseudo-fields and others, and checks what holds for every section.

RFC 9113 sections 8.2 and 8.3.
"""

from operator import itemgetter

from meshproxy.h2.section import FieldSection
from meshproxy.http.headers import MASK, TOKEN
from meshproxy.http.memo import Memo

CONNECTION_FIELDS = frozenset(
    b"connection keep-alive proxy-connection transfer-encoding upgrade".split()
)
_LONGEST_KNOWN = 64
_NAME, _VALUE = itemgetter(0), itemgetter(1)
_names: Memo[bytes, None] = Memo(2048)
"""Names that are sound whatever their value."""


class MalformedSection(ValueError):
    """A field section that breaks a rule of RFC 9113: its stream ends with PROTOCOL_ERROR."""


def split(
    section: FieldSection, allowed: frozenset[bytes]
) -> tuple[dict[bytes, bytes], list[bytes], list[bytes]]:
    """Returns the pseudo-fields, and names and values of the others, each of them checked."""
    fields = section.fields
    values = [*map(_VALUE, fields)]
    joined = b"".join(values)
    if joined.translate(MASK) != joined:
        raise MalformedSection("control character in a field value")
    count = 0
    for name, _ in fields:
        if name[:1] != b":":
            break
        count += 1
    pseudo = dict(fields[:count])
    if len(pseudo) < count or not pseudo.keys() <= allowed:
        raise MalformedSection("a pseudo-field is unknown or there twice")
    fields = fields[count:]
    names = [*map(_NAME, fields)]
    del values[:count]
    if [*map(bytes.strip, values)] != values:  # there is no white space but blanks and tabs
        name = next(name for name, value in fields if value.strip() != value)
        raise MalformedSection(f"white space around the value of {_shown(name)}")
    if not all(map(_names.__contains__, names)):
        for name, value in fields:
            if name not in _names:
                _check(name, value)
    return pseudo, names, values


def _check(name: bytes, value: bytes) -> None:
    """Checks a field whose name is not known to be sound whatever its value."""
    if name[:1] == b":":
        raise MalformedSection(f"pseudo-field {_shown(name)} after a field")
    if not TOKEN(name) or name != name.lower():
        raise MalformedSection(f"{_shown(name)} is not a field name in lower case")
    if name in CONNECTION_FIELDS or (name == b"te" and value != b"trailers"):
        raise MalformedSection(f"{_shown(name)} is a field of the connection")
    if len(name) <= _LONGEST_KNOWN and name != b"te":
        _names.keep(name, None)


def _shown(name: bytes) -> str:
    return f"`{name[:64].translate(MASK).decode('latin-1')}`"
