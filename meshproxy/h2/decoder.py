"""HPACK's decoder: blocks of bytes to fields (RFC 7541 sections 3 and 6).

While a block changes no table, the same bytes mean the same fields. Such blocks are remembered with
what they say; most requests of a connection repeat one. Others are read in two steps, so that all
their Huffman-coded values are decoded together.
"""

from itertools import chain
from typing import Any, NoReturn

from meshproxy.h2 import huffman, integers
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.representations import Representation, read, refuse
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
_BOMB = 4
"""A field section of over this many times the limit is an attack, not a mistake."""
_NONE: frozenset[bytes] = frozenset()
_LONGEST_RUN = 64
"""Bytes of the longest run of indexed fields that is remembered."""


class FieldSection:
    """The fields of one block, in order, and what has been made of them."""

    __slots__ = ("fields", "head", "is_too_large", "never_indexed", "size", "trailers")

    def __init__(
        self, fields: tuple[Field, ...], never_indexed: frozenset[bytes], *, is_too_large: bool
    ) -> None:
        self.fields = fields
        self.never_indexed = never_indexed
        """Names of fields that no table may hold, here or further on (RFC 7541 section 7.1.3)."""
        self.is_too_large = is_too_large
        """True if the block has more than the limits allow; then `fields` is empty."""
        self.size = 0
        """Bytes of names and values, and 32 for each field."""
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
        "_runs",
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
        self._runs: Memo[bytes, list[Field]] = Memo(_REMEMBERED)
        """Fields by the bytes of indexed fields that follow one another."""
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
            found, coded, literals = read(block, at, most // ENTRY_OVERHEAD)
        except IndexError:
            refuse("a block ends within a field")
        if len(found) > most // ENTRY_OVERHEAD:
            _refuse_bomb()
        fields, never_indexed, inserted = self._resolve(found, coded, most // ENTRY_OVERHEAD)
        size = sum(map(len, chain.from_iterable(fields))) + ENTRY_OVERHEAD * len(fields)
        if size > most:
            _refuse_bomb()
        is_too_large = size > self._section_bytes or len(fields) > self._max_fields
        if is_too_large:
            fields.clear()
        section = FieldSection(tuple(fields), never_indexed, is_too_large=is_too_large)
        section.size = size
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
                refuse("a dynamic table of more bytes than SETTINGS_HEADER_TABLE_SIZE")
            self._capacity = size
            self._must_shrink = False
            self._evict(0)
            self._runs.clear()
        if self._must_shrink:
            refuse("a block does not begin with the table size update that is due")
        return at, at > 0

    def _resolve(
        self, found: list[Representation], coded: list[bytes], most: int
    ) -> tuple[list[Field], frozenset[bytes], bool]:
        """Returns the fields, names that are never indexed, and whether the table has changed."""
        values = iter(huffman.decode_all(coded) if coded else ())
        fields: list[Field] = []
        never_indexed: list[bytes] = []
        has_inserted = False
        for first, index, new_name, value in found:
            if first & 0x80:
                fields += self._runs.get(new_name) or self._run(new_name, most)
                if len(fields) > most:
                    _refuse_bomb()
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

    def _run(self, run: bytes, most: int) -> list[Field]:
        """Returns the fields of *run*, which has nothing but indexes: *most* and one more."""
        fields: list[Field] = []
        at = 0
        while at < len(run) and len(fields) <= most:
            index = run[at] & 127
            at += 1
            if index == 127:
                index, at = integers.rest(run, at, index)
            fields.append(STATIC[index] if 0 < index < BEYOND_STATIC else self._dynamic(index))
        return self._runs.keep(run, fields) if len(run) <= _LONGEST_RUN else fields

    def _insert(self, field: Field) -> None:
        size = size_of(*field)
        self._evict(size)
        if size <= self._capacity:
            self._table.append(field)
            self._size += size
        self._runs.clear()

    def _dynamic(self, index: int) -> Field:
        back = index - BEYOND_STATIC + 1
        if not 0 < back <= len(self._table):
            refuse(f"no entry {index} in the tables")
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


def _refuse_bomb() -> NoReturn:
    raise H2ConnectionError(
        ErrorCode.ENHANCE_YOUR_CALM,
        f"a field section is over {_BOMB} times SETTINGS_MAX_HEADER_LIST_SIZE",
    )
