"""HPACK's decoder: blocks of bytes to fields (RFC 7541 sections 3 and 6).

While a block changes no table, the same bytes mean the same fields. Such blocks are remembered with
what they say; most requests of a connection repeat one. Others are read in two steps, so that all
their Huffman-coded values are decoded together.
"""

from itertools import chain
from typing import Any, NoReturn, TypeAlias

from meshproxy.h2 import huffman, integers
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.static_table import (
    BEYOND_STATIC,
    ENTRY_OVERHEAD,
    STATIC,
    Field,
    size_of,
)
from meshproxy.http.memo import Memo

DEFAULT_TABLE_BYTES = 4096
"""SETTINGS_HEADER_TABLE_SIZE until somebody says otherwise (RFC 9113 section 6.5.2)."""
_REMEMBERED = 256
_MAX_BLOCK = 512
_MAX_SECTION = 2048
"""Bytes of the longest block that is remembered, and of what it stands for: a peer that sends many
large ones must not have them kept here."""
_LONGEST_NAME = 48
"""Bytes of the longest Huffman-coded name that is remembered."""
_BOMB = 4
"""A field section of over this many times the limit is an attack, not a mistake."""
_NONE: frozenset[bytes] = frozenset()
_SIZE_UPDATE = 31
_MASKS = (15, 15, _SIZE_UPDATE, _SIZE_UPDATE, *[63] * 4, *[127] * 8)
"""The bits of an integer in a first byte, by that byte's first four (RFC 7541 section 6)."""

Representation: TypeAlias = tuple[int, int, bytes, bytes | None]
"""A field as it is in a block: the first byte, the index of the field or of its name, the name if
that has no index, and the value, None while it is Huffman-coded."""


class FieldSection:
    """The fields of one block, in order, and what has been made of them."""

    __slots__ = ("fields", "head", "is_too_large", "never_indexed", "trailers")

    def __init__(
        self, fields: tuple[Field, ...], never_indexed: frozenset[bytes], *, is_too_large: bool
    ) -> None:
        self.fields = fields
        self.never_indexed = never_indexed
        """Names of fields that no table may hold, here or further on (RFC 7541 section 7.1.3)."""
        self.is_too_large = is_too_large
        """True if the block has more than the limits allow; then `fields` is empty."""
        self.head: Any = None
        """What `h2.fields` has made of them as a head, for the next one who reads these bytes."""
        self.trailers: Any = None
        """The same for trailers."""


class Decoder:
    """Decodes the blocks of one connection, which share a dynamic table.

    A section may have *section_bytes* (names, values and 32 bytes for each field) and *max_fields*.
    One that has more is still read to its end, for the table, unless it has many times as much.
    """

    __slots__ = (
        "_allowed",
        "_capacity",
        "_max_fields",
        "_must_shrink",
        "_once",
        "_section_bytes",
        "_size",
        "_table",
        "known",
    )

    def __init__(self, section_bytes: int, max_fields: int) -> None:
        self._section_bytes = section_bytes
        self._max_fields = max_fields
        self._table: list[Field] = []  # the newest is the last
        self._size = 0
        self._capacity = self._allowed = DEFAULT_TABLE_BYTES
        self._must_shrink = False
        self.known: Memo[bytes, FieldSection] = Memo(_REMEMBERED)
        """Sections by their block, for a look before `decode`; the dictionary stays the same."""
        self._once: Memo[int, None] = Memo(_REMEMBERED)
        """Hashes of blocks that have come once."""

    def allow(self, table_bytes: int) -> None:
        """Sets the largest table, once the peer has acknowledged the setting.

        If that is less than its table has, its next block must begin by shrinking it.
        """
        self._allowed = table_bytes
        if table_bytes < self._capacity:
            self._must_shrink = True
            self.known.clear()

    def decode(self, block: bytes) -> FieldSection:
        """Returns the fields of *block*. Raises H2ConnectionError."""
        known = self.known.get(block)
        if known is not None:
            return known
        most = _BOMB * self._section_bytes
        try:
            at, resized = self._read_size_updates(block)
            found, coded, literals = _scan(block, at, most // ENTRY_OVERHEAD)
        except IndexError:
            _refuse("a block ends within a field")
        fields, never_indexed, inserted = self._resolve(found, coded)
        size = sum(map(len, chain.from_iterable(fields))) + ENTRY_OVERHEAD * len(fields)
        if size > most:
            _refuse_bomb()
        is_too_large = size > self._section_bytes or len(fields) > self._max_fields
        if is_too_large:
            fields.clear()
        section = FieldSection(tuple(fields), never_indexed, is_too_large=is_too_large)
        if resized or inserted:
            self.known.clear()
            self._once.clear()
        elif size > _MAX_SECTION or len(block) > _MAX_BLOCK:
            pass
        elif not literals or hash(block) in self._once:
            self.known.keep(block, section)
        else:
            self._once.keep(hash(block), None)
        return section

    def _read_size_updates(self, block: bytes) -> tuple[int, bool]:
        """Reads the updates that a block may begin with (RFC 7541 sections 4.2 and 6.3)."""
        at = 0
        while at < len(block) and block[at] & 0xE0 == 0x20:
            size, at = block[at] & 31, at + 1
            if size == 31:
                size, at = integers.rest(block, at, size)
            if size > self._allowed:
                _refuse("a dynamic table of more bytes than SETTINGS_HEADER_TABLE_SIZE")
            self._capacity = size
            self._must_shrink = False
            self._evict(0)
        if self._must_shrink:
            _refuse("a block does not begin with the table size update that is due")
        return at, at > 0

    def _resolve(
        self, found: list[Representation], coded: list[bytes]
    ) -> tuple[list[Field], frozenset[bytes], bool]:
        """Returns the fields, names that are never indexed, and whether the table has changed."""
        values = iter(huffman.decode_all(coded) if coded else ())
        fields: list[Field] = []
        never_indexed: list[bytes] = []
        has_inserted = False
        for first, index, new_name, value in found:
            if first & 0x80:
                fields.append(STATIC[index] if 0 < index < BEYOND_STATIC else self._dynamic(index))
                continue
            if index:
                name = (STATIC[index] if index < BEYOND_STATIC else self._dynamic(index))[0]
            else:
                name = new_name
            field = name, next(values) if value is None else value
            fields.append(field)
            if first & 0x40:
                has_inserted = True
                self._insert(field)
            elif first & 0x10:
                never_indexed.append(name)
        return fields, frozenset(never_indexed) if never_indexed else _NONE, has_inserted

    def _insert(self, field: Field) -> None:
        size = size_of(*field)
        self._evict(size)
        if size <= self._capacity:
            self._table.append(field)
            self._size += size

    def _dynamic(self, index: int) -> Field:
        back = index - BEYOND_STATIC + 1
        if not 0 < back <= len(self._table):
            _refuse(f"no entry {index} in the tables")
        return self._table[-back]

    def _evict(self, room: int) -> None:
        """Drops the oldest entries until *room* bytes are free, or none is left."""
        excess = self._size + room - self._capacity
        if excess <= 0:
            return
        count = freed = 0
        for name, value in self._table:
            freed += size_of(name, value)
            count += 1
            if freed >= excess:
                break
        del self._table[:count]
        self._size -= freed


def _scan(block: bytes, at: int, most: int) -> tuple[list[Representation], list[bytes], bool]:
    """Returns fields in order, values that are Huffman-coded, and whether any is a literal.

    Raises IndexError if *block* ends within a field, and H2ConnectionError for over *most* fields.
    """
    found: list[Representation] = []
    coded: list[bytes] = []
    literals = False
    end = len(block)
    for _ in range(most + 1):
        if at >= end:
            break
        first = block[at]
        at += 1
        mask = _MASKS[first >> 4]
        index = first & mask
        if index == mask:
            index, at = integers.rest(block, at, index)
        if first & 0x80:
            found.append((first, index, b"", b""))
            continue
        if mask == _SIZE_UPDATE:
            _refuse("a table size update after the first field")
        literals = True
        name = b""
        if not index:
            name, at = _name(block, at)
        head = block[at]
        start = at + 1
        length = head & 127
        if length == 127:
            length, start = integers.rest(block, start, length)
        at = start + length
        if head & 128:
            coded.append(block[start:at])
            found.append((first, index, name, None))
        else:
            found.append((first, index, name, block[start:at]))
    else:
        _refuse_bomb()
    if at > end:
        raise IndexError
    return found, coded, literals


_names: Memo[bytes, bytes] = Memo(2048)
"""Names by their Huffman code; a name comes again when its value is new."""


def _name(block: bytes, at: int) -> tuple[bytes, int]:
    """Returns the string at *at* and the position after it (RFC 7541 section 5.2).

    What is over the block's end is left out, and the position is beyond it.
    """
    head = block[at]
    start = at + 1
    length = head & 127
    if length == 127:
        length, start = integers.rest(block, start, length)
    end = start + length
    raw = block[start:end]
    if head < 128:
        return raw, end
    return _names.get(raw) or _decoded(raw), end


def _decoded(raw: bytes) -> bytes:
    name = huffman.decode(raw)
    return _names.keep(raw, name) if len(raw) <= _LONGEST_NAME else name


def _refuse(why: str) -> NoReturn:
    raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, why)


def _refuse_bomb() -> NoReturn:
    raise H2ConnectionError(
        ErrorCode.ENHANCE_YOUR_CALM,
        f"a field section is over {_BOMB} times SETTINGS_MAX_HEADER_LIST_SIZE",
    )
