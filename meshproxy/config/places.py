"""Places in a file, also of a character within a value, in every style of writing the value.

YAML folds and removes white space and replaces escapes, and keeps everything else (YAML 1.2.2,
chapters 5.7, 7.3 and 8.1), so a character that is not white space can be found by counting.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

_BLACK: Final = re.compile(r"\S")
_BREAK: Final = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_PROPERTIES: Final = re.compile(r"(?:[&!]\S*\s+)*")
_QUOTED: Final = {
    "'": re.compile(r"''|\S"),
    '"': re.compile(
        r"\\(?:x(?P<x>.{2})|u(?P<u>.{4})|U(?P<U>.{8})|(?P<white>[\stnrvfN_LP])|.)|\S", re.DOTALL
    ),
}


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


class Text:
    """The text of a document, which may be the value at *span* of the *file* of that name."""

    def __init__(self, characters: str, span: "TextRange | None" = None, file: str = "") -> None:
        self.characters = characters
        self.file = file
        self._span = span
        self._lines = [0, *(found.end() for found in _BREAK.finditer(characters))]

    def at(self, index: int) -> Mark:
        """Returns the place of the character *index*."""
        if self._span is not None:
            return self._span.at(index)
        line = bisect_right(self._lines, index)
        return Mark(line, index - self._lines[line - 1] + 1)


class TextRange:
    """The part of *text* from *start* to *end* that holds *value* in *style*.

    The style is one of `|`, `>`, `'` and `"`; None is plain.
    """

    def __init__(self, text: Text, start: int, end: int, style: str | None, value: str) -> None:
        self._text = text
        self._start = start
        self._end = end
        self._style = style
        self._value = value

    def at(self, offset: int) -> Mark:
        """Returns the place of the value's character *offset*; white space counts as the next."""
        if not self._indices:
            return self._text.at(self._start)
        number = bisect_left(self._numbers, offset)
        return self._text.at(self._indices[min(number, len(self._indices) - 1)])

    def place(self, offset: int) -> str:
        """Returns the place of the value's character *offset* as `file:line:column`."""
        mark = self.at(offset)
        return f"{self._text.file}:{mark.line}:{mark.column}"

    @cached_property
    def _numbers(self) -> "array[int]":
        """The offsets in the value of all characters that are not white space."""
        return array("L", (found.start() for found in _BLACK.finditer(self._value)))

    @cached_property
    def _indices(self) -> "array[int]":
        """The indices in the text of the same characters."""
        return array("L", self._find())

    def _find(self) -> Iterator[int]:
        written = self._text.characters
        start, end = self._start, self._end
        if self._style in ("|", ">"):
            start = written.find("\n", start, end) + 1 or end
        elif properties := _PROPERTIES.match(written, start, end):
            start = properties.end()
        if self._style in _QUOTED:
            start, end = start + 1, end - 1
        for character in _QUOTED.get(self._style or "", _BLACK).finditer(written, start, end):
            if not _is_white(character):
                yield character.start()


def _is_white(character: re.Match[str]) -> bool:
    """Returns True if *character* is an escape for white space, or half of a character."""
    groups = character.groupdict()
    if groups.get("white"):
        return True
    digits = groups.get("x") or groups.get("u") or groups.get("U")
    if not digits:
        return False
    number = int(digits, 16)
    return chr(number).isspace() or 0xDC00 <= number <= 0xDFFF
