"""Blocks as what they consist of, before any table is asked (RFC 7541 section 6)."""

import re
from typing import NoReturn, TypeAlias

from meshproxy.h2 import huffman, integers
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.http.memo import Memo

Representation: TypeAlias = tuple[int, int, bytes, bytes | None]
"""A literal: its first byte, the index of its name, the name if it has none, and the value, None
while it is Huffman-coded. Or a run of indexed fields: its first byte, and its bytes as the name."""
_INDEXED = re.compile(rb"(?:[\x80-\xfe]++|\xff[\x80-\xff]{0,3}+[\x00-\x7f])++").match
_SIZE_UPDATE = 31
_MASKS = (15, 15, _SIZE_UPDATE, _SIZE_UPDATE, *[63] * 4)
"""The bits of an integer in a first byte, by that byte's first four (RFC 7541 section 6)."""
_LONGEST_NAME = 48
"""Bytes of the longest Huffman-coded name that is remembered."""


def read(block: bytes, at: int, most: int) -> tuple[list[Representation], list[bytes], bool]:
    """Returns what *block* has from *at* on: at most *most* of it, and one more.

    Then the values that are Huffman-coded, in order, and whether any field is a literal. Raises
    IndexError if the block ends within a field, and H2ConnectionError.
    """
    found: list[Representation] = []
    coded: list[bytes] = []
    literals = False
    end = len(block)
    for _ in range(most + 1):
        if at >= end:
            break
        first = block[at]
        if first & 0x80:
            run = _run_at(block, at)
            found.append((first, 0, run, b""))
            at += len(run)
            continue
        at += 1
        mask = _MASKS[first >> 4]
        index = first & mask
        if index == mask:
            index, at = integers.rest(block, at, index)
        if mask == _SIZE_UPDATE:
            refuse("a table size update after the first field")
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
    if at > end:
        raise IndexError
    return found, coded, literals


def _run_at(block: bytes, at: int) -> bytes:
    """Returns the bytes of the indexed fields from *at* on. Raises as `read` does."""
    run = _INDEXED(block, at)
    if run is None:
        integers.rest(block, at + 1, 127)
        raise IndexError
    return run.group()


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


def refuse(why: str) -> NoReturn:
    """Raises the error of a block that is wrong."""
    raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, why)
