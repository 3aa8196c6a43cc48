"""HPACK's decoder: blocks of bytes to fields (RFC 7541 sections 3 and 6).

While a block changes no table, the same bytes mean the same fields. Such blocks are remembered with
what they say; most requests of a connection repeat one. Others mostly have the shape of one before:
but for the values of their literals they are the same, and so is what is known of them.
"""

from itertools import zip_longest
from typing import NoReturn

from meshproxy.h2 import integers
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.h2.representations import cut, cut_alike, literal, refuse
from meshproxy.h2.section import FieldSection, Shape
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
_REMEMBERED = 384
_MOST_ONCE = 4096
_once: Memo[int, None] = Memo(_MOST_ONCE)
"""Hashes of blocks that have come, on any connection."""
_MAX_BLOCK = 512
_MAX_SECTION = 2048
"""Bytes of the longest block that is remembered, and of what it stands for: a peer that sends many
large ones must not have them kept here."""
_MOST_KEPT = 96 * 1024
"""Bytes of all of them together, and of the shapes; they take three times as much."""
_BOMB = 4
"""A field section of over this many times the limit is an attack, not a mistake."""
_NONE: frozenset[bytes] = frozenset()
_SHAPES = 64


_EMPTY = Shape(())


class Decoder:
    """Decodes the blocks of one connection, which share a dynamic table.

    A section may have *section_bytes* (names, values and 32 bytes for each field) and *max_fields*.
    One that has more is still read to its end, for the table, unless it has many times as much.
    """

    __slots__ = (
        "_allowed",
        "_capacity",
        "_kept_bytes",
        "_latest",
        "_max_fields",
        "_must_shrink",
        "_section_bytes",
        "_shapes",
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
        self._shapes: Memo[bytes, Shape] = Memo(_SHAPES)
        """Shapes by their blocks without the values; the table is the same for all."""
        self._latest = _EMPTY
        """The shape of the last block that had one; the next one mostly has it too."""
        self._kept_bytes = 0
        """Of the sections and shapes that were remembered since all were forgotten."""

    def allow(self, table_bytes: int) -> None:
        """Sets the largest table, once the peer has acknowledged the setting.

        If that is less than its table has, its next block must begin by shrinking it.
        """
        self._allowed = table_bytes
        if table_bytes < self._capacity:
            self._must_shrink = True
            self._forget()

    def decode(self, block: bytes) -> FieldSection:
        """Returns the fields of *block*. Raises H2ConnectionError."""
        known = self.known.get(block)
        if known is not None:
            return known
        shape = self._latest
        cut = cut_alike(block, shape.heads, shape.last) if shape.holes else None
        if cut is None:
            shape, values, is_stable = self._read(block)
            are_sound = False
        else:
            values, are_sound = cut
            shape.recurs = is_stable = True
        size = shape.size + sum(map(len, values))
        if size > self._section_bytes or len(shape.fields) > self._max_fields:
            if size > _BOMB * self._section_bytes:
                _refuse_bomb()
            section = FieldSection(_EMPTY, [], size, is_too_large=True)
        else:
            section = FieldSection(shape, values, size, are_sound)
        if not is_stable:
            self._forget()
        elif size > _MAX_SECTION or len(block) > _MAX_BLOCK:
            pass
        elif not values or (key := hash(block)) in _once:
            self._make_room(size + len(block))
            self.known.keep(block, section)
        elif len(_once) < _MOST_ONCE:
            _once[key] = None
        else:
            _once.keep(key, None)
        return section

    def _read(self, block: bytes) -> tuple[Shape, list[bytes], bool]:
        """Returns the shape of *block*, its values, and False if it has changed the table."""
        most = _BOMB * self._section_bytes // ENTRY_OVERHEAD
        try:
            at = self._read_size_updates(block)
            heads, values = cut(block, at, most)
        except IndexError:
            refuse("a block ends within a field")
        skeleton = b"".join(heads)
        shape = None if at else self._shapes.get(skeleton)
        is_stable = not at
        if shape is None:
            shape = self._resolve(heads, values, most)
            if not shape.holes:
                is_stable = is_stable and not values
                return shape, [], is_stable
            shape.heads = [(head, len(head)) for head in heads[:-1]]
            shape.last = heads[-1]
            if at or shape.size > _MAX_SECTION or len(skeleton) > _MAX_BLOCK:
                return shape, values, is_stable
            self._make_room(shape.size + len(skeleton))
            self._shapes.keep(skeleton, shape)
        else:
            shape.recurs = True
        self._latest = shape
        return shape, values, is_stable

    def _make_room(self, count: int) -> None:
        """Forgets everything if *count* more bytes are over the limit."""
        self._kept_bytes += count
        if self._kept_bytes > _MOST_KEPT:
            self._forget()
            self._kept_bytes = count

    def _forget(self) -> None:
        """Forgets what depends on the dynamic table, which has changed."""
        self._kept_bytes = 0
        self.known.clear()
        self._shapes.clear()
        self._latest = _EMPTY

    def _read_size_updates(self, block: bytes) -> int:
        """Reads the updates that a block may begin with, and returns where they end.

        See RFC 7541 sections 4.2 and 6.3.
        """
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
        if self._must_shrink:
            refuse("a block does not begin with the table size update that is due")
        return at

    def _resolve(self, heads: list[bytes], values: list[bytes], most: int) -> Shape:
        """Returns the shape of a block; one that changes the table has its values in it."""
        fields: list[Field] = []
        holes: list[int] = []
        never_indexed: list[bytes] = []
        is_stable = True
        for head, value in zip_longest(heads, values):
            at = self._read_run(head, fields, most)
            if value is None:
                break
            index, name = literal(head, at)
            if index:
                name = (STATIC[index] if index < BEYOND_STATIC else self._dynamic(index))[0]
            holes.append(len(fields))
            fields.append((name, value))
            if head[at] & 0x40:
                is_stable = False
                self._insert((name, value))
            elif head[at] & 0x10:
                never_indexed.append(name)
        secrets = frozenset(never_indexed) if never_indexed else _NONE
        if not is_stable:
            return Shape(tuple(fields), (), secrets)
        for at in holes:
            fields[at] = fields[at][0], b""
        return Shape(tuple(fields), tuple(holes), secrets)

    def _read_run(self, head: bytes, fields: list[Field], most: int) -> int:
        """Adds the indexed fields that *head* begins with to *fields*, and returns their end."""
        at, end = 0, len(head)
        while at < end and head[at] > 127 and len(fields) <= most:
            index = head[at] & 127
            at += 1
            if index == 127:
                index, at = integers.rest(head, at, index)
            fields.append(STATIC[index] if 0 < index < BEYOND_STATIC else self._dynamic(index))
        if len(fields) > most:
            _refuse_bomb()
        return at

    def _insert(self, field: Field) -> None:
        size = size_of(*field)
        self._evict(size)
        if size <= self._capacity:
            self._table.append(field)
            self._size += size

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
