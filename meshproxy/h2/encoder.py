"""HPACK's encoder: fields to blocks of bytes (RFC 7541 section 6).

A field goes into the dynamic table when it comes a second time, unless its name says that it is new
in every message, or secret. Whole sections that recur are remembered with their block, and fields
with what stands for them; those whose name has had nothing but new values are not. Of sections
whose names are known, all but those values is remembered. Strings are not Huffman-coded: that would
cost more than the bytes it saves.
"""

from typing import Any, TypeAlias

from meshproxy.h2 import integers
from meshproxy.h2.decoder import DEFAULT_TABLE_BYTES
from meshproxy.h2.literals import (
    INSERTED,
    LENGTHS,
    NEVER_INDEXED,
    SECRET,
    VOLATILE,
    Outline,
    Skeleton,
    length_around,
    length_of,
    literal,
)
from meshproxy.h2.static_table import BEYOND_STATIC, ENTRY_OVERHEAD, INDEX_OF, Field, size_of
from meshproxy.http.memo import Memo

Encodable: TypeAlias = Field | bytes
"""A field, or the line that HTTP/1.1 has in its place, with a name in any case."""
_MAX_INDEXED = 256
"""Bytes of the longest value that goes into the table."""
_REMEMBERED = 256
_MAX_BLOCK = 1024
"""Bytes of the longest block that is remembered."""
_SEEN = 512
_FRESH = 32
"""New values in a row after which a name is believed to have nothing else, or sections."""
_LOOK = 61
"""One in so many fields with such a name, or sections, is looked at all the same: it may recur now.
A prime, so that it is not the same field of each section."""
_INDEXED = tuple(
    integers.encode(index, 7, 0x80)
    for index in range(BEYOND_STATIC + DEFAULT_TABLE_BYTES // ENTRY_OVERHEAD)
)
"""The byte or two that stand for each entry of the tables, by its index."""
_NONE: frozenset[bytes] = frozenset()
_NOTHING: tuple[Outline | None, tuple[Encodable, ...], Skeleton] = None, (), ((), b"")


class _Codes(Memo[Encodable, bytes]):
    """What stands for each field, and the dynamic table by which it does.

    Indexing with a field makes its code if there is none. All go when the table changes.
    """

    __slots__ = (
        "_looks", "_seen", "_serial_of", "capacity", "fresh", "inserted", "is_stable", "outlines",
        "size",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__(_SEEN)
        self._serial_of: dict[Field, int] = {}  # the newest is the last
        self.inserted = 0
        self.size = 0
        self.capacity = DEFAULT_TABLE_BYTES
        self.is_stable = True
        """Set to False when a field gets a code that it may not get again."""
        self._seen: dict[Field | bytes, int] = {}
        """Fields that have come, and by name how many new ones there were in a row."""
        self.fresh: set[bytes] = set()
        """Names whose values are new each time."""
        self.outlines: Memo[tuple[bytes, ...], Outline] = Memo(_REMEMBERED)
        """By the names of sections; they are made anew when `fresh` has changed."""
        self._looks = 0

    def __missing__(self, field: Encodable) -> bytes:
        name, value = _pair(field)
        if name in self.fresh and not self.looks():
            self.is_stable = False
            return literal(name, value, 0)
        return self._code(field, name, value)

    def outline(self, names: tuple[bytes, ...]) -> Outline:
        """Returns which fields of sections with these names have values for themselves."""
        outline = Outline(names, self.fresh)
        if sum(map(len, names)) <= _MAX_BLOCK:
            self.outlines.keep(names, outline)
        return outline

    def looks(self) -> bool:
        """Returns True one time in `_LOOK`, when a section is to be `looked` at."""
        self._looks += 1
        return not self._looks % _LOOK

    def looked(self, fields: tuple[Encodable, ...]) -> bytes:
        """Returns the block of a section, whatever is believed of the values of its names."""
        return b"".join([self.get(field) or self._code(field, *_pair(field)) for field in fields])

    def resize(self, capacity: int) -> None:
        """Gives the table a size in bytes."""
        self.capacity = capacity
        self._evict(0)
        self.clear()

    def _code(self, field: Encodable, name: bytes, value: bytes) -> bytes:
        if name in SECRET:
            return literal(name, value, NEVER_INDEXED)
        pair = name, value
        index = INDEX_OF.get(pair)
        if index is None and (serial := self._serial_of.get(pair)) is not None:
            index = BEYOND_STATIC + self.inserted - serial
        if index is not None:
            return self.keep(field, _INDEXED[index])
        if len(value) > _MAX_INDEXED:
            return literal(name, value, 0)
        if pair not in self._seen:
            self.is_stable = False
            self._note(name, pair)
            return literal(name, value, 0)
        self._seen[name] = 0
        if name in self.fresh:
            self.fresh.remove(name)
            self.outlines.clear()
        size = size_of(name, value)
        if name in VOLATILE or size > self.capacity // 2:
            return self.keep(field, literal(name, value, 0))
        self._evict(size)
        self.inserted += 1
        self._serial_of[pair] = self.inserted
        self.size += size
        self.clear()
        return literal(name, value, INSERTED)

    def _note(self, name: bytes, pair: Field) -> None:
        """Remembers a field that comes for the first time."""
        if len(self._seen) >= _SEEN:
            self._seen.clear()
            self.fresh.clear()
            self.outlines.clear()
        count = self._seen.get(name, 0) + 1
        self._seen[pair] = 0
        self._seen[name] = count
        if count == _FRESH:
            self.fresh.add(name)
            self.outlines.clear()

    def _evict(self, room: int) -> None:
        while self._serial_of and self.size + room > self.capacity:
            oldest = next(iter(self._serial_of))
            self.size -= size_of(*oldest)
            del self._serial_of[oldest]


class Encoder:
    """Encodes the field sections of one connection, in the order in which they are sent."""

    __slots__ = ("_blocks", "_codes", "_latest", "_news", "_once", "_skeletons", "_smallest")

    def __init__(self) -> None:
        self._codes = _Codes()
        self._smallest: int | None = None
        self._once: Memo[tuple[object, ...], None] = Memo(_REMEMBERED)
        self._blocks: Memo[tuple[Encodable, ...], bytes] = Memo(_REMEMBERED)
        self._skeletons: Memo[tuple[Outline | Encodable, ...], Skeleton] = Memo(_REMEMBERED)
        """By the outline of a section, and those of its fields that are in the skeleton."""
        self._latest = _NOTHING
        """The outline and those fields of the last one that was found, and its skeleton."""
        self._news = 0
        """Sections since the last one that was in `_blocks`."""

    def resize(self, table_bytes: int) -> None:
        """Follows the peer's SETTINGS_HEADER_TABLE_SIZE; of more than 4,096 bytes none is used.

        The next block tells the peer: the smallest size since the last one, then this one (RFC
        7541 section 4.2).
        """
        capacity, before = min(table_bytes, DEFAULT_TABLE_BYTES), self._codes.capacity
        if capacity == before and self._smallest is None:
            return
        self._smallest = min(capacity, before if self._smallest is None else self._smallest)
        self._codes.resize(capacity)
        self._forget()

    def encode(
        self,
        fields: tuple[Encodable, ...],
        never_indexed: frozenset[bytes] = _NONE,
        names: tuple[bytes, ...] = (),
    ) -> bytes:
        """Returns the block of *fields*; no table will hold those whose name is *never_indexed*.

        *names* are those of all fields, in lower case, or none: they save work if some values are
        new each time. Then pseudo-fields are pairs, and the others are lines.
        """
        if never_indexed:
            return self._encode(fields, never_indexed)
        news = self._news = self._news + 1
        if news >= _FRESH and news % _LOOK and names and self._smallest is None:
            return self._encode_named(fields, names)
        known = self._blocks.get(fields)
        if known is not None:
            self._news = 0
            return known
        codes = self._codes
        codes.is_stable = self._smallest is None
        if names and codes.is_stable:
            block = self._encode_named(fields, names)
        else:
            block = self._encode(fields, never_indexed)
        if codes.is_stable and len(block) <= _MAX_BLOCK:
            if fields in self._once:
                self._blocks.keep(fields, block)
            else:
                self._once.keep(fields, None)
        return block

    def _encode_named(self, fields: tuple[Any, ...], names: tuple[bytes, ...]) -> bytes:
        """Returns the block of a section by its outline."""
        codes = self._codes
        outline = codes.outlines.get(names) or codes.outline(names)
        if outline.is_believed and codes.looks():
            inserted = codes.inserted
            block = codes.looked(fields)
            if codes.inserted != inserted:
                codes.is_stable = False
                self._forget()
            return block
        constant = outline.constant(fields)
        latest, its_constant, skeleton = self._latest
        if outline is not latest or constant != its_constant:
            skeleton = self._skeleton(outline, constant)
        heads, last = skeleton
        parts: list[bytes] = []
        for head, at, skip in heads:
            value = fields[at][skip:].strip() if skip else fields[at][1]
            count = len(value)
            parts += (head, LENGTHS[count] if count < 127 else length_of(count), value)
        parts.append(last)
        return b"".join(parts)

    def _skeleton(self, outline: Outline, constant: tuple[Encodable, ...]) -> Skeleton:
        """Returns what is around the values, and remembers it the second time."""
        key = (outline, *constant)
        known = self._skeletons.get(key)
        if known is not None:
            self._latest = outline, constant, known
            return known
        codes = self._codes
        inserted, codes.is_stable = codes.inserted, True
        skeleton = outline.skeleton([*map(codes.__getitem__, constant)])
        if codes.inserted != inserted:
            codes.is_stable = False
            self._forget()
        elif codes.is_stable and length_around(skeleton) <= _MAX_BLOCK:
            if key in self._once:
                self._skeletons.keep(key, skeleton)
            else:
                self._once.keep(key, None)
        return skeleton

    def _encode(self, fields: tuple[Encodable, ...], never_indexed: frozenset[bytes]) -> bytes:
        codes = self._codes
        inserted = codes.inserted
        if never_indexed:
            block = b"".join([_sensitive(each, never_indexed) or codes[each] for each in fields])
        else:
            block = b"".join(map(codes.__getitem__, fields))
        if codes.inserted != inserted:
            codes.is_stable = False
            self._forget()
        return block if self._smallest is None else self._size_updates() + block

    def _forget(self) -> None:
        """Forgets the blocks that the table has had a part in, as it has changed."""
        self._blocks.clear()
        self._skeletons.clear()
        self._latest = _NOTHING

    def _size_updates(self) -> bytes:
        smallest, capacity = self._smallest, self._codes.capacity
        self._smallest = None
        last = integers.encode(capacity, 5, 0x20)
        if smallest is not None and smallest < capacity:
            return integers.encode(smallest, 5, 0x20) + last
        return last


def _sensitive(field: Encodable, never_indexed: frozenset[bytes]) -> bytes | None:
    """Returns the literal of a field whose name is one of *never_indexed*."""
    name, value = _pair(field)
    return literal(name, value, NEVER_INDEXED) if name in never_indexed else None


def _pair(field: Encodable) -> Field:
    if not isinstance(field, bytes):
        return field
    name, _, value = field.partition(b":")
    return name.lower(), value.strip()
