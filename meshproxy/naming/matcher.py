"""Prefix patterns with wildcards and captures, such as `/$/inet/*/{port}`.

linkerd: finagle/buoyant/.../PathMatcher.scala; here a capturing part takes only linear time.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meshproxy.naming.nameset import NameSet
from meshproxy.naming.path import Path, show_segment

_CAPTURE: Final = re.compile(r"\{([0-9A-Za-z.:-_]+)\}")
_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a pattern: the texts around its captures, one more than there are names."""

    literals: tuple[str, ...]
    names: tuple[str, ...]

    def captures_of(self, segment: str) -> list[str] | None:
        """Matches greedily, anywhere in *segment*. Returns None if the texts do not occur in order.

        The earlier a capture, the more it takes, so each text is searched for from the right.
        """
        first, *others = self.literals
        ends: list[int] = []
        end = len(segment)
        for literal in reversed(others):
            end = segment.rfind(literal, 0, end)
            if end < 0:
                return None
            ends.append(end)
        start = segment.find(first, 0, end)
        if start < 0:
            return None
        start += len(first)
        values: list[str] = []
        for literal, end in zip(others, reversed(ends), strict=True):
            values.append(segment[start:end])
            start = end + len(literal)
        return values


@dataclass(frozen=True, slots=True)
class PathMatcher:
    """A pattern for the beginning of paths, compared with their segments as shown."""

    text: str
    _parts: tuple[str | _Part, ...]

    @classmethod
    def parse(cls, text: str) -> "PathMatcher":
        """Reads a pattern; every text is valid, and `/` and the empty text match everything."""
        parts = text.split("/")
        while parts and not parts[-1]:
            parts.pop()
        while parts and not parts[0]:
            parts.pop(0)
        return cls(text, tuple([_read_part(part) for part in parts]))

    @property
    def length(self) -> int:
        """How many segments a path must have at least."""
        return len(self._parts)

    @property
    def captures(self) -> tuple[str, ...]:
        """The names that a match binds, in the order of the pattern."""
        named = [part.names for part in self._parts if isinstance(part, _Part)]
        return tuple(dict.fromkeys(name for names in named for name in names))

    def match(self, path: Path) -> dict[str, str] | None:
        """Returns the captured texts; None if *path* does not begin with the pattern."""
        if len(path) < len(self._parts):
            return None
        captured: dict[str, str] = {}
        for part, segment in zip(self._parts, path, strict=False):
            if part == "*":
                continue
            shown = show_segment(segment)
            if isinstance(part, str):
                if part != shown:
                    return None
                continue
            values = part.captures_of(shown)
            if values is None:
                return None
            captured.update(zip(part.names, values, strict=True))
        return captured

    def meets(self, names: NameSet) -> bool:
        """Returns True if it matches some of *names*."""
        if len(names.segments) < len(self._parts) and not names.is_open:
            return False
        pairs = zip(self._parts, names.segments, strict=False)
        return all(segment is None or _fits(part, show_segment(segment)) for part, segment in pairs)

    def unknown_in(self, template: str) -> list[str]:
        """Returns the variables of *template* that a match does not bind."""
        known = self.captures
        return [name for name in _VARIABLE.findall(template) if name not in known]

    @staticmethod
    def substitute(template: str, captures: Mapping[str, str]) -> str:
        """Replaces each `{name}` that was captured; others are kept."""
        return _VARIABLE.sub(lambda found: captures.get(found[1], found[0]), template)


def _fits(part: str | _Part, shown: str) -> bool:
    if isinstance(part, str):
        return part in ("*", shown)
    return part.captures_of(shown) is not None


def _read_part(text: str) -> str | _Part:
    names = _CAPTURE.findall(text)
    if not names or any("." in name for name in names):
        return text
    return _Part(tuple(_CAPTURE.split(text)[::2]), tuple(names))
