"""What the names of a head's fields settle, whatever their values (RFC 9113 section 8.3).

Clients that put each new value into the dynamic table give each block another shape. The names of
its fields mostly stay the same, and are judged once.
"""

from collections.abc import Callable
from operator import add, itemgetter
from typing import Any

from meshproxy.h2.section import FieldSection
from meshproxy.h2.static_table import Field
from meshproxy.http.headers import MASK, line, prefix
from meshproxy.http.memo import Memo

_JUDGED_BY_VALUE = frozenset((b"host", b"te"))
_JOINED = frozenset((b"cookie", b"content-length"))
_MOST_BYTES = 1024
"""Bytes of the longest list of names that is remembered, and one for each."""
_NAME, _VALUE = itemgetter(0), itemgetter(1)


class Names:
    """The names of all fields of a head that was sound, the first of which are its pseudo-fields.

    Whatever a head's values are, these do not make it unsound.
    """

    __slots__ = ("_count", "_prefixes", "length_at", "others", "pseudo")

    def __init__(self, names: tuple[bytes, ...], pseudo: tuple[bytes, ...]) -> None:
        self._count = len(pseudo)
        others = names[len(pseudo) :]
        is_request = b":authority" in pseudo
        self.others = (b"host", *others) if is_request else others
        """Names of the lines."""
        self.pseudo: Callable[[list[bytes]], Any] = itemgetter(*map(names.index, pseudo))
        """Picks the values of pseudo-fields from those of all, in the order of `KnownNames`: a
        tuple, or the value if there is one."""
        self.length_at = names.index(b"content-length") if b"content-length" in others else -1
        """The place of Content-Length among all fields, -1 if there is none."""
        self._prefixes = [*map(prefix, others)]

    def lines(self, values: list[bytes], authority: bytes = b"") -> tuple[bytes, ...]:
        """Returns the lines of a head with these values; *authority* makes that of Host."""
        lines = map(add, self._prefixes, values[self._count :])
        return (line(b"host", authority), *lines) if authority else tuple(lines)


class KnownNames:
    """Names by all names of a head in order, at most 1,024, of heads with these pseudo-fields."""

    def __init__(self, *pseudo: bytes) -> None:
        self._pseudo = pseudo
        self.known: Memo[tuple[bytes, ...], Names] = Memo(1024)

    def usual(self, section: FieldSection) -> tuple[Names, list[bytes]] | None:
        """Returns names that are known, and the values, in which every character is sound.

        Returns None for any other section.
        """
        fields = section.fields
        names = self.known.get(tuple(map(_NAME, fields)))
        if names is None:
            return None
        values = [*map(_VALUE, fields)]
        joined = b"".join(values)
        if joined.translate(MASK) != joined or [*map(bytes.strip, values)] != values:
            return None
        return names, values

    def learn(self, fields: tuple[Field, ...]) -> None:
        """Keeps the names of a head that was sound, unless their values may say more."""
        names = tuple(map(_NAME, fields))
        count = len(self._pseudo)
        others = names[count:]
        if (
            {*names[:count]} == {*self._pseudo}
            and _JUDGED_BY_VALUE.isdisjoint(others)
            and all(others.count(name) < 2 for name in _JOINED)
            and sum(map(len, names)) + len(names) <= _MOST_BYTES
        ):
            self.known.keep(names, Names(names, self._pseudo))


requests = KnownNames(b":method", b":scheme", b":authority", b":path")
responses = KnownNames(b":status")
