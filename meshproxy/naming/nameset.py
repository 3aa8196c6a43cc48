"""Sets of names that begin alike: what is known of names before a request brings one."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from meshproxy.naming.path import show_segment


class NameSet(NamedTuple):
    """All names of these *segments*, None being any one, and if *is_open* with any more behind."""

    segments: tuple[bytes | None, ...] = ()
    is_open: bool = True

    def meets(self, prefix: Sequence[bytes | None]) -> bool:
        """Returns True if some of the names begin with *prefix*."""
        if len(prefix) > len(self.segments) and not self.is_open:
            return False
        pairs = zip(self.segments, prefix, strict=False)
        return all(one is None or other is None or one == other for one, other in pairs)

    def is_under(self, prefix: Sequence[bytes | None]) -> bool:
        """Returns True if all of the names begin with *prefix*."""
        if len(prefix) > len(self.segments):
            return False
        pairs = zip(self.segments, prefix, strict=False)
        return all(other is None or one == other for one, other in pairs)

    def includes(self, other: "NameSet") -> bool:
        """Returns True if all names of *other* are in this set too."""
        if not self.is_open and (other.is_open or len(other.segments) != len(self.segments)):
            return False
        return other.is_under(self.segments)

    def within(self, prefix: Sequence[bytes | None]) -> "NameSet":
        """Returns those that begin with *prefix*, which some must."""
        known = (*self.segments, *prefix[len(self.segments) :])
        pairs = zip(known, prefix, strict=False)
        narrowed = [other if one is None else one for one, other in pairs]
        return NameSet((*narrowed, *known[len(prefix) :]), self.is_open)

    def drop(self, count: int) -> "NameSet":
        """Returns what follows the first *count* segments."""
        return NameSet(self.segments[count:], self.is_open)

    def behind(self, path: Iterable[bytes]) -> "NameSet":
        """Returns the same with *path* in front of each."""
        return NameSet((*path, *self.segments), self.is_open)

    def show(self) -> str:
        """Returns the text for people: `*` stands for any segment, `...` for any more."""
        shown = ["*" if one is None else show_segment(one) for one in self.segments]
        return "/" + "/".join([*shown, *(["..."] if self.is_open else [])])


ANY_NAME = NameSet()
