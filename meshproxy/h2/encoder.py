"""HPACK's encoder: fields to blocks of bytes (RFC 7541 section 6).

A field goes into the dynamic table when it comes a second time, unless its name says that it is new
in every message, or secret. Whole sections that recur are remembered with their block. Strings are
not Huffman-coded: that would cost more than the bytes it saves.
"""

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
_INDEXED = tuple(
    integers.encode(index, 7, 0x80)
    for index in range(BEYOND_STATIC + DEFAULT_TABLE_BYTES // ENTRY_OVERHEAD)
)
"""The byte or two that stand for each entry of the tables, by its index."""
_INSERTED = 0x40
_NEVER_INDEXED = 0x10
_LONGEST_NAME = 64
_heads: dict[int, Memo[bytes, bytes]] = {
    pattern: Memo(2048) for pattern in (0, _NEVER_INDEXED, _INSERTED)
}
"""What comes before the value of a literal, by its pattern and name."""
_NONE: frozenset[bytes] = frozenset()


class Encoder:
    """Encodes the field sections of one connection, in the order in which they are sent."""

    __slots__ = (
        "_blocks",
        "_capacity",
        "_codes",
        "_inserted",
        "_once",
        "_seen",
        "_serial_of",
        "_size",
        "_smallest",
    )

    def __init__(self) -> None:
        self._serial_of: dict[Field, int] = {}  # the newest is the last
        self._inserted = 0
        self._size = 0
        self._capacity = DEFAULT_TABLE_BYTES
        self._smallest: int | None = None
        self._seen: Memo[Field, None] = Memo(_SEEN)
        self._once: Memo[tuple[Field, ...], None] = Memo(_REMEMBERED)
        self._blocks: Memo[tuple[Field, ...], bytes] = Memo(_REMEMBERED)
        self._codes: Memo[Field, bytes] = Memo(_SEEN)

    def resize(self, table_bytes: int) -> None:
        """Follows the peer's SETTINGS_HEADER_TABLE_SIZE; of more than 4,096 bytes none is used.

        The next block tells the peer: the smallest size since the last one, then this one (RFC
        7541 section 4.2).
        """
        capacity = min(table_bytes, DEFAULT_TABLE_BYTES)
        if capacity == self._capacity and self._smallest is None:
            return
        self._smallest = min(capacity, self._capacity if self._smallest is None else self._smallest)
        self._capacity = capacity
        self._evict(0)
        self._blocks.clear()
        self._codes.clear()

    def encode(self, fields: tuple[Field, ...], never_indexed: frozenset[bytes] = _NONE) -> bytes:
        """Returns the block of *fields*; no table will hold those whose name is *never_indexed*."""
        if never_indexed:
            return self._encode(fields, never_indexed)[0]
        known = self._blocks.get(fields)
        if known is not None:
            return known
        block, is_stable = self._encode(fields, never_indexed)
        if is_stable and len(block) <= _MAX_BLOCK:
            if fields in self._once:
                self._blocks.keep(fields, block)
            else:
                self._once.keep(fields, None)
        return block

    def _encode(
        self, fields: tuple[Field, ...], never_indexed: frozenset[bytes]
    ) -> tuple[bytes, bool]:
        """Returns the block, and whether the same fields would make the same block again."""
        out: list[bytes] = []
        is_stable = True
        if self._smallest is not None:
            is_stable = False
            if self._smallest < self._capacity:
                out.append(integers.encode(self._smallest, 5, 0x20))
            out.append(integers.encode(self._capacity, 5, 0x20))
            self._smallest = None
        codes = self._codes
        for field in fields:
            code = codes.get(field)
            if code is None or field[0] in never_indexed:
                name, value = field
                if name in _SECRET or name in never_indexed:
                    code = _literal(name, value, _NEVER_INDEXED)
                elif (index := self._index(field)) is not None:
                    code = codes.keep(field, _INDEXED[index])
                elif name in _VOLATILE or len(value) > _MAX_INDEXED:
                    code = _literal(name, value, 0)
                else:
                    is_stable = False
                    code = self._new(field)
            out.append(code)
        return b"".join(out), is_stable

    def _index(self, field: Field) -> int | None:
        """Returns the entry of *field* in the tables, if it has one."""
        index = INDEX_OF.get(field)
        if index is None and (serial := self._serial_of.get(field)) is not None:
            return BEYOND_STATIC + self._inserted - serial
        return index

    def _new(self, field: Field) -> bytes:
        """Returns a literal, and inserts *field* if it has been seen before."""
        name, value = field
        size = size_of(name, value)
        if field not in self._seen or size > self._capacity // 2:
            self._seen.keep(field, None)
            return _literal(name, value, 0)
        self._evict(size)
        self._inserted += 1
        self._serial_of[field] = self._inserted
        self._size += size
        self._blocks.clear()
        self._codes.clear()
        return _literal(name, value, _INSERTED)

    def _evict(self, room: int) -> None:
        while self._serial_of and self._size + room > self._capacity:
            oldest = next(iter(self._serial_of))
            self._size -= size_of(*oldest)
            del self._serial_of[oldest]


def _literal(name: bytes, value: bytes, pattern: int) -> bytes:
    head = _heads[pattern].get(name) or _head(name, pattern)
    length = len(value)
    return head + (b"%c" % length if length < 127 else integers.encode(length, 7)) + value


def _head(name: bytes, pattern: int) -> bytes:
    index = NAME_INDEX_OF.get(name, 0)
    head = integers.encode(index, 6 if pattern == _INSERTED else 4, pattern)
    if not index:
        head += integers.encode(len(name), 7) + name
    return _heads[pattern].keep(name, head) if len(name) <= _LONGEST_NAME else head
