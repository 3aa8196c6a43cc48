"""Paths: names as sequences of segments (finagle: Path.scala)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Self

from meshproxy.naming.parser import Parser

_SHOWN_RAW: Final = re.compile(rb"[0-9A-Za-z_:.#$%-]+")


class Path(tuple[bytes, ...]):
    """Non-empty segments of bytes; a native tuple, so that it is a cheap dictionary key.

    Raises:
        ValueError: a segment is empty.
    """

    __slots__ = ()

    def __new__(cls, segments: Iterable[bytes] = ()) -> Self:
        """Builds a path from segments of bytes."""
        path = super().__new__(cls, segments)
        if not all(path):
            raise ValueError("a path segment must not be empty")
        return path

    @classmethod
    def of(cls, *segments: str | bytes) -> "Path":
        """Builds a path from segments; text is encoded as UTF-8.

        Raises:
            ValueError: a segment is empty.
        """
        return cls([s.encode() if isinstance(s, str) else s for s in segments])

    @classmethod
    def parse(cls, text: str) -> "Path":
        r"""Reads a path such as `/svc/a\x20b`, with space and comments around it.

        Raises:
            ParseError: the text is not a path.
        """
        parser = Parser(text, cls)
        path = parser.path()
        parser.end()
        return path

    def show(self) -> str:
        """Returns the canonical text; a segment with an unusual byte is escaped as a whole."""
        return _shown(self)

    def show_segments(self) -> list[str]:
        """Returns the canonical text of each segment."""
        return [show_segment(segment) for segment in self]

    def starts_with(self, prefix: tuple[bytes, ...]) -> bool:
        """Returns True if the first segments are those of *prefix*."""
        return self[: len(prefix)] == prefix

    def take(self, count: int) -> "Path":
        """Returns the first *count* segments, or all if there are fewer."""
        return _trusted(self[:count])

    def drop(self, count: int) -> "Path":
        """Returns what follows the first *count* segments."""
        return _trusted(self[count:]) if count else self

    def __add__(self, other: tuple[bytes, ...]) -> "Path":  # type: ignore[override]
        return (
            _trusted(tuple.__add__(self, other)) if type(other) is Path else Path((*self, *other))
        )

    def __repr__(self) -> str:
        return f"Path({self.show()!r})"


@lru_cache(1024)
def _shown(path: Path) -> str:
    return "/" + "/".join(path.show_segments())


def show_segment(segment: bytes) -> str:
    """Returns the canonical text of one segment."""
    if _SHOWN_RAW.fullmatch(segment):
        return segment.decode("ascii")
    return "".join([f"\\x{byte:02x}" for byte in segment])


def _trusted(segments: tuple[bytes, ...]) -> Path:
    return tuple.__new__(Path, segments)
