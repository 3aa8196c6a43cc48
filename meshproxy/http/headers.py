"""Header fields as they were on the wire, in order, with case-blind lookup (RFC 9110 section 5).

Two parallel lists: lower-case names, and whole lines `Name: value`. Writing a head is one join, and
a filter with nothing to do costs one scan of short byte strings.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import AnyStr

from meshproxy.http.memo import Memo

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
"""RFC 9110 section 5.6.2."""
TEXT = bytes([9, *range(32, 127), *range(128, 256)])
"""Every byte that may appear in a line of a head: HTAB, SP, VCHAR and obs-text."""
MASK = bytes(byte if byte in TEXT else ord("?") for byte in range(256))
"""A translation that changes any line with another byte; faster than deleting the bytes of TEXT."""
_UNSAFE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_NONE: frozenset[bytes] = frozenset()


class Headers:
    """An ordered multimap of header fields; `names` and `lines` always have equal length.

    Lines are made here alone: by `add`, `set`, `write` and `of`, or by `line` and `prefix`. Code on
    the hot path appends to both lists itself what it has from these, without a call.
    """

    __slots__ = ("lines", "names", "never_indexed")

    def __init__(
        self,
        names: list[bytes] | None = None,
        lines: list[bytes] | None = None,
        never_indexed: frozenset[bytes] = _NONE,
    ) -> None:
        self.names: list[bytes] = [] if names is None else names
        self.lines: list[bytes] = [] if lines is None else lines
        self.never_indexed = never_indexed
        """Lower-case names of fields that HTTP/2 must send as such (RFC 7541 section 7.1.3)."""

    def get(self, name: AnyStr) -> AnyStr | None:
        """Returns the first value of *name*, without white space around it, or None.

        Text is returned for text, in any case; bytes must be lower case, or ValueError is raised.
        """
        if isinstance(name, str):
            value = self.get(_wire(name))
            return None if value is None else value.decode("latin-1")
        if name not in self.names:
            if name != name.lower():
                raise ValueError(f"{name!r} is not lower case; give text for any case")
            return None
        return self.lines[self.names.index(name)][len(name) + 1 :].strip(b" \t")

    def get_all(self, name: AnyStr) -> list[AnyStr]:
        """Returns every value of *name*, in order; see `get`."""
        if isinstance(name, str):
            return [value.decode("latin-1") for value in self.get_all(_wire(name))]
        names = self.names
        count = names.count(name)
        if not count:
            return []
        skip = len(name) + 1
        if count == 1:
            return [self.lines[names.index(name)][skip:].strip(b" \t")]
        return [
            line[skip:].strip(b" \t")
            for known, line in zip(self.names, self.lines, strict=True)
            if known == name
        ]

    def add(self, name: AnyStr, value: AnyStr) -> None:
        """Appends a field, given as text or as bytes.

        Raises ValueError for a control character, and for text beyond ISO 8859-1.
        """
        if isinstance(name, str):
            self.add(_wire(name, lower=False), _wire(value, lower=False))
            return
        if _UNSAFE(value) or not TOKEN(name):
            raise ValueError(f"not a header field: {name!r}: {value!r}")
        self.names.append(name.lower())
        self.lines.append(line(name, value))

    def write(self, name: bytes, value: bytes) -> None:
        """Appends a field whose lower-case *name* and *value* are known to be valid."""
        self.names.append(name)
        self.lines.append(b": ".join((name, value)))

    def write_line(self, name: bytes, line: bytes) -> None:
        """Appends a whole *line* and its lower-case *name*; the line is one of `line`."""
        self.names.append(name)
        self.lines.append(line)

    def set(self, name: AnyStr, value: AnyStr) -> None:
        """Replaces every field called *name* with this one."""
        self.remove(name.lower())
        self.add(name, value)

    def remove(self, name: bytes | str) -> None:
        """Removes every field called *name*; bytes must be lower case."""
        if isinstance(name, str):
            name = _wire(name)
        names = self.names
        for _ in range(names.count(name)):
            index = names.index(name)
            del names[index], self.lines[index]

    def remove_where(self, unwanted: Callable[[bytes], bool]) -> None:
        """Removes every field whose lower-case name is *unwanted*."""
        kept = [pair for pair in zip(self.names, self.lines, strict=True) if not unwanted(pair[0])]
        self.names[:] = [name for name, _ in kept]
        self.lines[:] = [line for _, line in kept]

    def copy(self) -> "Headers":
        """Returns an independent copy."""
        return Headers(self.names[:], self.lines[:], self.never_indexed)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yields pairs of lower-case name and value."""
        for name, line in zip(self.names, self.lines, strict=True):
            yield name, line[len(name) + 1 :].strip(b" \t")

    def __contains__(self, name: object) -> bool:
        return (_wire(name) if isinstance(name, str) else name) in self.names

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Headers({self.lines!r})"


def _wire(text: str, *, lower: bool = True) -> bytes:
    """Returns the bytes of *text*. Raises UnicodeEncodeError, a ValueError."""
    return (text.lower() if lower else text).encode("latin-1")


def line(name: bytes, value: bytes) -> bytes:
    """Returns the line of a field whose *name* and *value* are known to be valid."""
    return b": ".join((name, value))


def prefix(name: bytes) -> bytes:
    """Returns the line of field *name* up to its value, which hot code appends."""
    return line(name, b"")


def lines_of(names: Iterable[bytes], values: Iterable[bytes]) -> tuple[bytes, ...]:
    """Returns the lines of fields that are known to be valid."""
    return tuple(map(b": ".join, zip(names, values, strict=True)))


def value_of(line: bytes) -> bytes:
    """Returns the value of a line, without white space around it."""
    return line.partition(b":")[2].strip(b" \t")


def of(*fields: tuple[bytes, bytes]) -> Headers:
    """Returns headers made of pairs, for messages that the proxy itself creates."""
    headers = Headers()
    for name, value in fields:
        headers.add(name, value)
    return headers


REPEATING = frozenset(
    b"host accept accept-encoding accept-language user-agent origin connection keep-alive "
    b"content-length content-type content-encoding transfer-encoding cache-control pragma "
    b"server date etag last-modified vary via accept-ranges x-powered-by x-frame-options "
    b"x-content-type-options strict-transport-security access-control-allow-origin".split()
)
"""Fields whose lines recur word for word and contain no secrets."""
MAX_LINE = 128
"""Bytes of the longest line that is remembered."""
_known: Memo[bytes, bytes] = Memo(4096)
"""Lower-case names by the name as written."""


class _Lines(Memo[bytes, bytes]):
    """The lower-case names of lines seen before (4,096); a new line is checked on its first use."""

    def __missing__(self, line: bytes) -> bytes:
        """Returns the lower-case name of *line*. Raises ValueError."""
        if line.translate(MASK) != line:
            raise ValueError("control character in a header field")
        name, colon, _ = line.partition(b":")
        lower = _known.get(name)
        if lower is None or not colon:
            if not colon or not TOKEN(name):
                raise ValueError(f"not a header field name: {quoted(name)}")
            lower = name.lower()
            if len(name) <= 64:
                _known.keep(name, lower)
        if lower in REPEATING and len(line) <= MAX_LINE:
            self.keep(line, lower)
        return lower


_lines = _Lines(4096)
_name_of = _lines.__getitem__


def quoted(text: bytes) -> str:
    """Returns the first 64 bytes of *text*, with control characters shown as `?`."""
    shown = text[:64].translate(MASK).replace(b"\t", b"?")
    return f"`{shown.decode('latin-1')}`"


def parse_fields(lines: list[bytes], refused: type[Exception]) -> Headers:
    """Returns the headers that the field lines of a head make.

    Raises *refused* for a control character (a bare CR or LF is one), a line without a colon, a
    name that is not a token (which covers folded lines and white space before the colon) and an
    empty name (RFC 9112 sections 5.1, 5.2, 5.5). Lines seen before are looked up whole, which is
    cheaper than checking and splitting them again.
    """
    try:
        return Headers(list(map(_name_of, lines)), lines)
    except ValueError as error:
        raise refused(str(error)) from None
