"""Blocks as what they consist of, before any table is asked (RFC 7541 section 6).

A block is cut into the values of its literals and what comes before each of them. Blocks of one
kind of request mostly differ in the values alone.
"""

import re
from typing import NoReturn

from meshproxy.h2 import huffman, integers
from meshproxy.h2.errors import ErrorCode, H2ConnectionError
from meshproxy.http.memo import Memo

_INDEXED = re.compile(rb"(?:[\x80-\xfe]++|\xff[\x80-\xff]{0,3}+[\x00-\x7f])++").match
_SIZE_UPDATES = range(32, 64)
_LONG = frozenset((15, 31, 127, *_SIZE_UPDATES))
"""First bytes of literals the index of whose name takes more bytes, and of size updates."""
_LONGEST_NAME = 48
"""Bytes of the longest Huffman-coded name that is remembered."""


def cut(block: bytes, at: int, most: int) -> tuple[list[bytes], list[bytes]]:
    """Returns what *block* has from *at* on: what is before each value and at the end, and values.

    Before a value there may be indexed fields, and there is the start of its literal. Reads at most
    *most* literals or runs of indexed fields, and one more. Raises IndexError if the block ends
    within a field, and H2ConnectionError.
    """
    heads: list[bytes] = []
    values: list[bytes] = []
    plain: list[int] = []
    end = len(block)
    start = at
    for _ in range(most + 1):
        if at >= end:
            break
        first = block[at]
        if first > 127:
            at = _after_run(block, at)
            continue
        at += 1
        if first in {0, 16, 64}:
            length = block[at] & 127
            at += 1
            if length == 127:
                length, at = integers.rest(block, at, length)
            at += length
        elif first in _LONG:
            at = _after_index(block, at, first)
        length = block[at]
        heads.append(block[start:at])
        at += 1
        if length < 128:
            plain.append(len(values))
        else:
            length -= 128
        if length == 127:
            length, at = integers.rest(block, at, length)
        start = at + length
        values.append(block[at:start])
        at = start
    if at > end:
        raise IndexError
    heads.append(block[start:at])
    return heads, _decoded(values, plain)[0]


def cut_alike(
    block: bytes, heads: list[tuple[bytes, int]], last: bytes
) -> tuple[list[bytes], bool] | None:
    """Returns the values of *block* if what is before them is *heads*, and *last* is the end.

    Each of *heads* comes with its length. With the values comes True if they are known to be sound;
    see `huffman.decode_all`. Returns None for any other block; `cut` says more of it. Raises
    H2ConnectionError.
    """
    values: list[bytes] = []
    plain: list[int] = []
    at = 0
    try:
        for head, size in heads:
            begin = at + size
            if block[at:begin] != head:
                return None
            length = block[begin]
            if length > 127:
                length -= 128
            else:
                plain.append(len(values))
            if length == 127:
                length, begin = integers.rest(block, begin + 1, 127)
            else:
                begin += 1
            at = begin + length
            values.append(block[begin:at])
    except IndexError:
        return None
    if block[at:] != last or at > len(block):
        return None
    return _decoded(values, plain) if plain else huffman.decode_all(values)


def _decoded(values: list[bytes], plain: list[int]) -> tuple[list[bytes], bool]:
    """Returns the texts of *values*, which are Huffman-coded but for those at *plain*."""
    if len(plain) == len(values):
        return values, False
    if not plain:
        return huffman.decode_all(values)
    kept = set(plain)
    coded = [raw for at, raw in enumerate(values) if at not in kept]
    texts = iter(huffman.decode_all(coded)[0])
    return [raw if at in kept else next(texts) for at, raw in enumerate(values)], False


def _after_run(block: bytes, at: int) -> int:
    """Returns the position after the indexed fields from *at* on. Raises as `cut` does."""
    run = _INDEXED(block, at)
    if run is None:
        integers.rest(block, at + 1, 127)
        raise IndexError
    return run.end()


def _after_index(block: bytes, at: int, first: int) -> int:
    """Returns the position after the index of a name. Raises as `cut` does."""
    if first in _SIZE_UPDATES:
        refuse("a table size update after the first field")
    return integers.rest(block, at, 0)[1]


def literal(head: bytes, at: int) -> tuple[int, bytes]:
    """Returns what a literal that begins at *at* has for a name: its index, or 0 and the name.

    *head* is one of `cut`, and *at* is where the indexed fields end. Raises H2ConnectionError.
    """
    first = head[at]
    mask = 63 if first & 0x40 else 15
    index = first & mask
    if index == mask:
        return integers.rest(head, at + 1, index)[0], b""
    return index, b"" if index else _name(head, at + 1)


_names: Memo[bytes, bytes] = Memo(2048)
"""Names by their Huffman code; a name comes again when its value is new."""


def _name(head: bytes, at: int) -> bytes:
    """Returns the string from *at* to the end of *head* (RFC 7541 section 5.2)."""
    length = head[at]
    at += 1
    if length & 127 == 127:
        at = integers.rest(head, at, 127)[1]
    raw = head[at:]
    return raw if length < 128 else _names.get(raw) or _decoded_name(raw)


def _decoded_name(raw: bytes) -> bytes:
    name = huffman.decode(raw)
    return _names.keep(raw, name) if len(raw) <= _LONGEST_NAME else name


def refuse(why: str) -> NoReturn:
    """Raises the error of a block that is wrong."""
    raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, why)
