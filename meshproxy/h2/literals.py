"""Literals, and sections that differ in nothing else (RFC 7541 section 6.2).

A literal says its value itself, so what is around those of a section stays the same while the table
does.
"""

from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any, TypeAlias

from meshproxy.h2 import integers
from meshproxy.h2.static_table import NAME_INDEX_OF
from meshproxy.http.memo import Memo

Skeleton: TypeAlias = tuple[tuple[tuple[bytes, int, int], ...], bytes]
"""What is before each value in a block, and what is after the last one.

With the former are the place of the field, and how many bytes precede the value in its line: 0 if
it is the second of a pair.
"""
VOLATILE = frozenset(
    b":path content-length date etag last-modified age expires grpc-timeout grpc-message "
    b"traceparent x-request-id l5d-reqid l5d-ctx-trace l5d-ctx-deadline".split()
)
"""Names whose values would only push others out of the table."""
SECRET = frozenset(b"authorization proxy-authorization cookie set-cookie".split())
"""Names that are never indexed: on a connection that several clients share, the size of a block
would tell one of them if he has guessed another's value (RFC 7541 section 7.1)."""
INSERTED = 0x40
NEVER_INDEXED = 0x10
LENGTHS = tuple(bytes((length,)) for length in range(127))
"""What says how long a value is, for those of fewer than 127 bytes; see `length_of`."""
_LONGEST_NAME = 64
_heads: dict[int, Memo[bytes, bytes]] = {
    pattern: Memo(2048) for pattern in (0, NEVER_INDEXED, INSERTED)
}
"""What comes before the value of a literal, by its pattern and name."""


class Outline:
    """Which fields of the sections that have *names* are literals, each with a value of its own.

    These are the volatile, the secret, and those whose names are *fresh*.
    """

    __slots__ = ("_cuts", "_heads", "constant", "is_believed")

    def __init__(self, names: tuple[bytes, ...], fresh: Collection[bytes]) -> None:
        own = [name in VOLATILE or name in SECRET or name in fresh for name in names]
        new = [at for at, is_own in enumerate(own) if is_own]
        self.constant: Callable[[tuple[Any, ...]], tuple[Any, ...]] = _picking(
            [at for at, is_own in enumerate(own) if not is_own]
        )
        """Picks from a section the fields that are not."""
        self.is_believed = any(names[at] not in VOLATILE | SECRET for at in new)
        """True if some are there because of what came before, and may be wrongly."""
        self._cuts = [at - nth for nth, at in enumerate(new)]
        self._heads = [(*_head_and_skip(names[at]), at) for at in new]

    def skeleton(self, codes: list[bytes]) -> Skeleton:
        """Returns what is around the values, given what stands for each of the other fields."""
        heads: list[tuple[bytes, int, int]] = []
        begin = 0
        for cut, (head, skip, at) in zip(self._cuts, self._heads, strict=True):
            heads.append((b"".join(codes[begin:cut]) + head, at, skip))
            begin = cut
        return tuple(heads), b"".join(codes[begin:])


def length_around(skeleton: Skeleton) -> int:
    """Returns how many bytes of a block are not values, nor their lengths."""
    heads, last = skeleton
    return sum(len(head) for head, _, _ in heads) + len(last)


def _head_and_skip(name: bytes) -> tuple[bytes, int]:
    head = head_of(name, NEVER_INDEXED if name in SECRET else 0)
    return head, 0 if name[:1] == b":" else len(name) + 1


def _picking(places: list[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    if len(places) > 1:
        return itemgetter(*places)
    first = places[0] if places else 0
    return itemgetter(slice(first, first + len(places)))


def literal(name: bytes, value: bytes, pattern: int) -> bytes:
    """Returns a field as a literal: 0, INSERTED into the table, or NEVER_INDEXED."""
    count = len(value)
    return head_of(name, pattern) + (LENGTHS[count] if count < 127 else length_of(count)) + value


def length_of(length: int) -> bytes:
    """Returns what says how long a value is."""
    return integers.encode(length, 7)


def head_of(name: bytes, pattern: int) -> bytes:
    """Returns what comes before the length of the value of a literal."""
    heads = _heads[pattern]
    known = heads.get(name)
    if known is not None:
        return known
    index = NAME_INDEX_OF.get(name, 0)
    head = integers.encode(index, 6 if pattern == INSERTED else 4, pattern)
    if not index:
        head += integers.encode(len(name), 7) + name
    return heads.keep(name, head) if len(name) <= _LONGEST_NAME else head
