"""How heads are made of the new values of a block whose shape is known.

All that RFC 9113 section 8 says of names and their order has been judged in the first head of that
shape; what is left to judge are the values.
"""

from collections.abc import Callable
from operator import add, itemgetter
from typing import Any

from meshproxy.h2.section import FieldSection, Shape
from meshproxy.http.headers import MASK, line, prefix

_NEVER_NEW = frozenset((b":method", b":scheme", b":authority", b":status", b"host", b"te"))
"""Names whose value says more than itself; with a new one, a head is judged as a whole."""
_SPACE, _TAB = b" \t"
"""The bytes as ints, because `in` on bytes first tries to use its operand as an index."""
_NULS_STAY = b"\0" + MASK[1:]


class Plan:
    """Makes the lines of heads that have one shape; *head* is the first of them."""

    __slots__ = ("_constant", "_order", "_prefixes", "head", "length_at", "path_at")

    def __init__(
        self,
        head: Any,
        constant: tuple[bytes, ...],
        prefixes: list[bytes],
        order: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] | None,
    ) -> None:
        self.head = head
        self._constant = constant
        self._prefixes = prefixes
        """What comes before each new value in its line."""
        self._order = order
        """Picks the lines from those that are constant and the new ones; None if none is new."""
        self.path_at = self.length_at = -1
        """Which of the values is `:path`, and which Content-Length; -1 if none is."""

    @classmethod
    def of(cls, shape: Shape, head: Any, authority: bytes = b"") -> "Plan | None":
        """Returns the plan by which *head* is made, or None if there is none."""
        if not shape.holes:
            return None
        names = [name for name, _ in shape.fields]
        new = [names[at] for at in shape.holes]
        if not _NEVER_NEW.isdisjoint(new):
            return None
        if any(names.count(name) > 1 for name in (b"cookie", b"content-length")):
            return None
        constant = [line(b"host", authority)] if authority else []
        picks = [0] if authority else []
        for at, (name, value) in enumerate(shape.fields):
            if name[:1] == b":" or name == b"host":
                continue
            if at in shape.holes:
                picks.append(-len(new) + shape.holes.index(at))
            else:
                picks.append(len(constant))
                constant.append(line(name, value))
        is_new = min(picks, default=0) < 0
        if is_new and len(picks) < 2:
            return None
        made = cls(
            head, tuple(constant), [prefix(name) for name in new],
            itemgetter(*picks) if is_new else None,
        )  # fmt: skip
        if b":path" in new:
            made.path_at = new.index(b":path")
        if b"content-length" in new:
            made.length_at = new.index(b"content-length")
        return made

    def lines(self, section: FieldSection) -> tuple[bytes, ...] | None:
        """Returns the lines with the values of *section*, or None if one of them is not sound."""
        values = section.values
        if not (section.are_sound or _are_sound(values)):
            return None
        if self._order is None:
            return self._constant
        return self._order((*self._constant, *map(add, self._prefixes, values)))


def _are_sound(values: list[bytes]) -> bool:
    joined = b"\0".join([b"", *values, b""])
    return (
        joined.translate(_NULS_STAY) == joined
        and joined.count(b"\0") == len(values) + 1
        and _TAB not in joined
        and (_SPACE not in joined or values == [*map(bytes.strip, values)])
    )
