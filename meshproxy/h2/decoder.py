"""HPACK's decoder: blocks of bytes to fields (RFC 7541 sections 3 and 6).

While a block changes no table, the same bytes mean the same fields. Such blocks are remembered with
what they say; most requests of a connection repeat one.
"""

from typing import Any, NoReturn

from meshproxy.h2 import huffman, integers
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.static_table import BEYOND_STATIC, STATIC, Field, size_of
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


class FieldSection:
    """The fields of one block, in order, and what has been made of them."""

    __slots__ = ("fields", "is_too_large", "judged", "never_indexed")

    def __init__(
        self, fields: tuple[Field, ...], never_indexed: frozenset[bytes], *, is_too_large: bool
    ) -> None:
        self.fields = fields
        self.never_indexed = never_indexed
        """Names of fields that no table may hold, here or further on (RFC 7541 section 7.1.3)."""
        self.is_too_large = is_too_large
        """True if the block has more than the limits allow, which `fields` leaves out."""
        self.judged: Any = None
        """What the first reader of these very bytes made of them, for the next one."""


class Decoder:
    """Decodes the blocks of one connection, which share a dynamic table.

    A section may have *section_bytes* (names, values and 32 bytes for each field) and *max_fields*.
    One that has more is still read to its end, for the table, unless it has many times as much.
    """

    __slots__ = (
        "_allowed",
        "_blocks",
        "_capacity",
        "_max_fields",
        "_must_shrink",
        "_once",
        "_section_bytes",
        "_size",
        "_table",
    )

    def __init__(self, section_bytes: int, max_fields: int) -> None:
        self._section_bytes = section_bytes
        self._max_fields = max_fields
        self._table: list[Field] = []  # the newest is the last
        self._size = 0
        self._capacity = self._allowed = DEFAULT_TABLE_BYTES
        self._must_shrink = False
        self._blocks: Memo[bytes, FieldSection] = Memo(_REMEMBERED)
        self._once: Memo[bytes, None] = Memo(_REMEMBERED)

    def allow(self, table_bytes: int) -> None:
        """Sets the largest table, once the peer has acknowledged the setting.

        If that is less than its table has, its next block must begin by shrinking it.
        """
        self._allowed = table_bytes
        if table_bytes < self._capacity:
            self._must_shrink = True
            self._blocks.clear()

    def decode(self, block: bytes) -> FieldSection:
        """Returns the fields of *block*. Raises H2ConnectionError."""
        known = self._blocks.get(block)
        return known if known is not None else self._decode(block)

    def _decode(self, block: bytes) -> FieldSection:
        try:
            at, resized = self._read_size_updates(block)
            section, is_large, has_literals, has_inserted = self._read_fields(block, at)
        except IndexError:
            _refuse("a block ends within a field")
        if resized or has_inserted:
            self._blocks.clear()
            self._once.clear()
        elif is_large or len(block) > _MAX_BLOCK:
            return section
        elif not has_literals or block in self._once:
            self._blocks.keep(block, section)
        else:
            self._once.keep(block, None)
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

    def _read_fields(self, block: bytes, at: int) -> tuple[FieldSection, bool, bool, bool]:
        """Returns the section, and whether it is large, has literals, has inserted any of them."""
        table = self._table
        fields: list[Field] = []
        never_indexed: set[bytes] = set()
        size = 0
        has_literals = has_inserted = is_too_large = False
        while at < len(block):
            first = block[at]
            at += 1
            if first & 0x80:
                index = first & 127
                if index == 127:
                    index, at = integers.rest(block, at, index)
                field = STATIC[index] if 0 < index < BEYOND_STATIC else self._dynamic(index)
            elif first & 0xE0 == 0x20:
                _refuse("a table size update after the first field")
            else:
                has_literals = True
                field, at = self._literal(block, at, first)
                if first & 0x40:
                    has_inserted = True
                    self._evict(own := size_of(*field))
                    if own <= self._capacity:
                        table.append(field)
                        self._size += own
                elif first & 0x10:
                    never_indexed.add(field[0])
            size += len(field[0]) + len(field[1]) + 32
            if size > self._section_bytes or len(fields) == self._max_fields:
                is_too_large = True
                self._check_bomb(size)
            else:
                fields.append(field)
        names = frozenset(never_indexed)
        section = FieldSection(tuple(fields), names, is_too_large=is_too_large)
        return section, size > _MAX_SECTION, has_literals, has_inserted

    def _check_bomb(self, size: int) -> None:
        """Raises H2ConnectionError for a block that stands for very much more than it has."""
        if size > _BOMB * self._section_bytes:
            raise H2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM,
                f"a field section is over {_BOMB} times SETTINGS_MAX_HEADER_LIST_SIZE",
            )

    def _literal(self, block: bytes, at: int, first: int) -> tuple[Field, int]:
        mask = 63 if first & 0x40 else 15
        index = first & mask
        if index == mask:
            index, at = integers.rest(block, at, index)
        if not index:
            name, at = _name(block, at)
        elif index < BEYOND_STATIC:
            name = STATIC[index][0]
        else:
            name = self._dynamic(index)[0]
        value, at = _string(block, at)
        return (name, value), at

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


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    """Returns the string at *at* and the position after it (RFC 7541 section 5.2)."""
    first = block[at]
    at += 1
    length = first & 127
    if length == 127:
        length, at = integers.rest(block, at, length)
    end = at + length
    if end > len(block):
        raise IndexError
    raw = block[at:end]
    return (huffman.decode(raw) if first & 128 else raw), end


_names: Memo[bytes, bytes] = Memo(2048)
"""Names by their Huffman code; a name comes again when its value is new."""


def _name(block: bytes, at: int) -> tuple[bytes, int]:
    """As `_string`, for what is likely to come again."""
    length = block[at] & 127
    end = at + 1 + length
    if block[at] < 128 or length > _LONGEST_NAME or end > len(block):
        return _string(block, at)
    raw = block[at + 1 : end]
    name = _names.get(raw)
    return name if name is not None else _names.keep(raw, huffman.decode(raw)), end


def _refuse(why: str) -> NoReturn:
    raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, why)
