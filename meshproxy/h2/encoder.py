"""HPACK's encoder: fields to blocks of bytes (RFC 7541 section 6).

A field goes into the dynamic table when it comes a second time, unless its name says that it is new
in every message, or secret. Whole sections that recur are remembered with their block, and fields
with what stands for them; those whose name has had nothing but new values are not. Strings are not
Huffman-coded: that would cost more than the bytes it saves.
"""

from collections.abc import Sequence
from typing import TypeAlias

from meshproxy.h2 import integers
from meshproxy.h2.decoder import DEFAULT_TABLE_BYTES
from meshproxy.h2.static_table import (
    BEYOND_STATIC,
    ENTRY_OVERHEAD,
    INDEX_OF,
    NAME_INDEX_OF,
    Field,
    size_of,
)
from meshproxy.http.memo import Memo

Encodable: TypeAlias = Field | bytes
"""A field, or the line that HTTP/1.1 has in its place, with a name in any case."""
_VOLATILE = frozenset(
    b":path content-length date etag last-modified age expires grpc-timeout grpc-message "
    b"traceparent x-request-id l5d-reqid l5d-ctx-trace l5d-ctx-deadline".split()
)
"""Names whose values would only push others out of the table."""
_SECRET = frozenset(b"authorization proxy-authorization cookie set-cookie".split())
"""Names that are never indexed: on a connection that several clients share, the size of a block
would tell one of them if he has guessed another's value (RFC 7541 section 7.1)."""
_MAX_INDEXED = 256
"""Bytes of the longest value that goes into the table."""
_REMEMBERED = 256
_MAX_BLOCK = 1024
"""Bytes of the longest block that is remembered."""
_SEEN = 512
_FRESH = 32
"""New values in a row after which a name is believed to have nothing else."""
_LOOK = 61
"""One in so many fields with such a name is looked at all the same: it may recur now. A prime, so
that it is not the same one of each section."""
_INDEXED = tuple(
    integers.encode(index, 7, 0x80)
    for index in range(BEYOND_STATIC + DEFAULT_TABLE_BYTES // ENTRY_OVERHEAD)
)
"""The byte or two that stand for each entry of the tables, by its index."""
_INSERTED = 0x40
_NEVER_INDEXED = 0x10
_LONGEST_NAME = 64
_LENGTHS = tuple(bytes((length,)) for length in range(127))
_heads: dict[int, Memo[bytes, bytes]] = {
    pattern: Memo(2048) for pattern in (0, _NEVER_INDEXED, _INSERTED)
}
"""What comes before the value of a literal, by its pattern and name."""
_NONE: frozenset[bytes] = frozenset()


class _Codes(Memo[Encodable, bytes]):
    """What stands for each field, and the dynamic table by which it does.

    Indexing with a field makes its code if there is none. All go when the table changes.
    """

    __slots__ = (
        "_looks", "_seen", "_serial_of", "capacity", "fresh", "inserted", "is_stable", "size"
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
        self.fresh: dict[bytes, bytes] = {}
        """Names whose values are new each time, with what comes before the value."""
        self._looks = 0

    def __missing__(self, field: Encodable) -> bytes:
        name, value = _pair(field)
        head = self.fresh.get(name)
        if head is not None:
            self._looks += 1
            if self._looks % _LOOK:
                self.is_stable = False
                count = len(value)
                return head + (_LENGTHS[count] if count < 127 else _long(count)) + value
        return self._code(field, name, value)

    def of_lines(self, names: Sequence[bytes], lines: Sequence[Encodable]) -> list[bytes]:
        """Returns what stands for each of *lines*, whose lower-case names are *names*.

        A line is not looked up itself if its name has had nothing but new values.
        """
        self._looks += 1
        if not self._looks % _LOOK:
            return [self.get(line) or self._code(line, *_pair(line)) for line in lines]
        found: list[bytes] = []
        fresh = self.fresh.get
        for name, line in zip(names, lines, strict=True):
            head = fresh(name)
            if head is None or not isinstance(line, bytes):
                found.append(self[line])
            else:
                value = line[len(name) + 1 :].strip()
                count = len(value)
                found.append(head + (_LENGTHS[count] if count < 127 else _long(count)) + value)
        return found

    def resize(self, capacity: int) -> None:
        """Gives the table a size in bytes."""
        self.capacity = capacity
        self._evict(0)
        self.clear()

    def _code(self, field: Encodable, name: bytes, value: bytes) -> bytes:
        if name in _SECRET:
            return _literal(name, value, _NEVER_INDEXED)
        pair = name, value
        index = INDEX_OF.get(pair)
        if index is None and (serial := self._serial_of.get(pair)) is not None:
            index = BEYOND_STATIC + self.inserted - serial
        if index is not None:
            return self.keep(field, _INDEXED[index])
        if len(value) > _MAX_INDEXED:
            return _literal(name, value, 0)
        if pair not in self._seen:
            self.is_stable = False
            self._note(name, pair)
            return _literal(name, value, 0)
        self._seen[name] = 0
        self.fresh.pop(name, None)
        size = size_of(name, value)
        if name in _VOLATILE or size > self.capacity // 2:
            return self.keep(field, _literal(name, value, 0))
        self._evict(size)
        self.inserted += 1
        self._serial_of[pair] = self.inserted
        self.size += size
        self.clear()
        return _literal(name, value, _INSERTED)

    def _note(self, name: bytes, pair: Field) -> None:
        """Remembers a field that comes for the first time."""
        if len(self._seen) >= _SEEN:
            self._seen.clear()
            self.fresh.clear()
        count = self._seen.get(name, 0) + 1
        self._seen[pair] = 0
        self._seen[name] = count
        if count == _FRESH:
            self.fresh[name] = _heads[0].get(name) or _head(name, 0)

    def _evict(self, room: int) -> None:
        while self._serial_of and self.size + room > self.capacity:
            oldest = next(iter(self._serial_of))
            self.size -= size_of(*oldest)
            del self._serial_of[oldest]


class Encoder:
    """Encodes the field sections of one connection, in the order in which they are sent."""

    __slots__ = ("_blocks", "_codes", "_once", "_smallest")

    def __init__(self) -> None:
        self._codes = _Codes()
        self._smallest: int | None = None
        self._once: Memo[tuple[Encodable, ...], None] = Memo(_REMEMBERED)
        self._blocks: Memo[tuple[Encodable, ...], bytes] = Memo(_REMEMBERED)

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
        self._blocks.clear()

    def encode(
        self,
        fields: tuple[Encodable, ...],
        never_indexed: frozenset[bytes] = _NONE,
        names: Sequence[bytes] = (),
    ) -> bytes:
        """Returns the block of *fields*; no table will hold those whose name is *never_indexed*.

        *names* are those of the lines at the end, if any, in lower case: they save work with lines
        whose values are new each time.
        """
        if never_indexed:
            return self._encode(fields, never_indexed)
        if not self._codes.fresh.keys().isdisjoint(names) and self._smallest is None:
            return self._encode_new(fields, names)
        known = self._blocks.get(fields)
        if known is not None:
            return known
        codes = self._codes
        codes.is_stable = self._smallest is None
        block = self._encode(fields, never_indexed)
        if codes.is_stable and len(block) <= _MAX_BLOCK:
            if fields in self._once:
                self._blocks.keep(fields, block)
            else:
                self._once.keep(fields, None)
        return block

    def _encode(self, fields: tuple[Encodable, ...], never_indexed: frozenset[bytes]) -> bytes:
        codes = self._codes
        inserted = codes.inserted
        if never_indexed:
            block = b"".join([_sensitive(each, never_indexed) or codes[each] for each in fields])
        else:
            block = b"".join(map(codes.__getitem__, fields))
        if codes.inserted != inserted:
            codes.is_stable = False
            self._blocks.clear()
        return block if self._smallest is None else self._size_updates() + block

    def _encode_new(self, fields: tuple[Encodable, ...], names: Sequence[bytes]) -> bytes:
        """Returns the block of a section that has a name whose values are new each time."""
        codes = self._codes
        inserted = codes.inserted
        first = len(fields) - len(names)
        block = b"".join(
            [*map(codes.__getitem__, fields[:first]), *codes.of_lines(names, fields[first:])]
        )
        if codes.inserted != inserted:
            self._blocks.clear()
        return block

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
    return _literal(name, value, _NEVER_INDEXED) if name in never_indexed else None


def _pair(field: Encodable) -> Field:
    if not isinstance(field, bytes):
        return field
    name, _, value = field.partition(b":")
    return name.lower(), value.strip()


def _literal(name: bytes, value: bytes, pattern: int) -> bytes:
    head = _heads[pattern].get(name) or _head(name, pattern)
    count = len(value)
    return head + (_LENGTHS[count] if count < 127 else _long(count)) + value


def _long(length: int) -> bytes:
    return integers.encode(length, 7)


def _head(name: bytes, pattern: int) -> bytes:
    index = NAME_INDEX_OF.get(name, 0)
    head = integers.encode(index, 6 if pattern == _INSERTED else 4, pattern)
    if not index:
        head += integers.encode(len(name), 7) + name
    return _heads[pattern].keep(name, head) if len(name) <= _LONGEST_NAME else head
