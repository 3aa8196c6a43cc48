"""Field sections: what a block says, and what it has in common with others of its shape."""

from itertools import chain
from typing import Any

from meshproxy.h2.static_table import ENTRY_OVERHEAD, Field

_NONE: frozenset[bytes] = frozenset()


class Shape:
    """What blocks have in common that differ in the values of literals, and what was made of it."""

    __slots__ = (
        "fields", "heads", "holes", "last", "never_indexed", "plan", "recurs", "size",
        "trailer_plan",
    )  # fmt: skip

    def __init__(
        self,
        fields: tuple[Field, ...],
        holes: tuple[int, ...] = (),
        never_indexed: frozenset[bytes] = _NONE,
    ) -> None:
        self.fields = fields
        """All fields, in order; those of *holes* without their value."""
        self.holes = holes
        """The places of fields whose values each block has for itself."""
        self.never_indexed = never_indexed
        """Names of fields that no table may hold, here or further on (RFC 7541 section 7.1.3)."""
        self.size = sum(map(len, chain.from_iterable(fields))) + ENTRY_OVERHEAD * len(fields)
        """Bytes that it takes of the limit of a section, but for those values."""
        self.heads: list[tuple[bytes, int]] = []
        """What is before each value in a block, and how long that is."""
        self.last = b""
        """What is after the last one."""
        self.recurs = False
        """True once a second block has had it."""
        self.plan: Any = None
        """How `h2.fields` makes a head of the values, once it has made one."""
        self.trailer_plan: Any = None
        """The same for trailers."""


class FieldSection:
    """The fields of one block, and what has been made of them."""

    __slots__ = ("are_sound", "head", "is_too_large", "shape", "size", "trailers", "values")

    def __init__(
        self,
        shape: Shape,
        values: list[bytes],
        size: int = 0,
        are_sound: bool = False,
        is_too_large: bool = False,
    ) -> None:
        self.shape = shape
        self.values = values
        """One for each hole of the shape."""
        self.size = size
        """Bytes of names and values, and 32 for each field."""
        self.are_sound = are_sound
        """True if the values are known to have no control character, and no space at an end."""
        self.is_too_large = is_too_large
        """True if the block has more than the limits allow; then it has no fields."""
        self.head: Any = None
        """What `h2.fields` has made of them as a head, for the next one who reads these bytes."""
        self.trailers: Any = None
        """The same for trailers."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields, in order."""
        if not self.values:
            return self.shape.fields
        fields = [*self.shape.fields]
        for at, value in zip(self.shape.holes, self.values, strict=True):
            fields[at] = fields[at][0], value
        return tuple(fields)

    @property
    def never_indexed(self) -> frozenset[bytes]:
        """Names of fields that no table may hold, here or further on (RFC 7541 section 7.1.3)."""
        return self.shape.never_indexed
