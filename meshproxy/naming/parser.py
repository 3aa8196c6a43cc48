"""A single-pass parser for paths, prefixes, name trees and delegation tables.

It follows finagle: NameTreeParsers.scala step by step, so error texts and positions are the
same. *leaf* makes the leaves of a tree from the segments of a path.
"""

import re
import sys
from collections.abc import Callable
from typing import Final, Generic, NoReturn, TypeVar

from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Alt, Leaf, NameTree, Union, Weighted

P = TypeVar("P")

MAX_NESTING: Final = 64

_RAW: Final = "0-9A-Za-z_:.#$%-"
_RAW_RUN: Final = re.compile(f"[{_RAW}]+")
_PLAIN_PATH: Final = re.compile(rf"/([{_RAW}]++(?:/[{_RAW}]++)*+)(?![/\\])")
_LABEL_START: Final = re.compile(rf"[\\{_RAW}]")
_HEX: Final = re.compile("[0-9A-Fa-f]")
_NUMBER: Final = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]*")
# Java's Character.isWhitespace: neither U+0085 nor the no-break spaces.
_SPACE: Final = re.compile(
    "(?:[\t-\r\x1c-\x20\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000]++|#[^\n]*+\n?)++"
)


class ParseError(ValueError):
    """A text is not a path, tree or table; the message says what was expected and where.

    `what` is the message without the place; `at` is the index of the character.
    """

    def __init__(self, what: str, text: str, at: int) -> None:
        super().__init__(f"{what} at '{text[:at]}[{text[at : at + 1]}]{text[at + 1 :]}'")
        self.what = what
        self.at = at


class Parser(Generic[P]):
    """A position in a text, which every reading method moves forward."""

    __slots__ = ("_at", "_leaf", "_nesting", "_text")

    def __init__(self, text: str, leaf: Callable[[tuple[bytes, ...]], P], at: int = 0) -> None:
        self._text = text
        self._leaf = leaf
        self._at = at
        self._nesting = 0

    @property
    def at(self) -> int:
        """The index of the next character."""
        return self._at

    @property
    def at_end(self) -> bool:
        """True if everything has been read."""
        return self._at >= len(self._text)

    def skip(self) -> None:
        """Skips whitespace and comments."""
        if space := _SPACE.match(self._text, self._at):
            self._at = space.end()

    def end(self) -> None:
        """Skips trailing space. Raises ParseError for anything else."""
        self.skip()
        if not self.at_end:
            self._refuse("end of input")

    def eat(self, char: str) -> None:
        """Reads *char*. Raises ParseError if another character comes next."""
        if not self.maybe(char):
            self._refuse(f"'{char}'")

    def maybe(self, char: str) -> bool:
        """Reads *char* if it comes next, and returns True if it did."""
        if self._text.startswith(char, self._at):
            self._at += 1
            return True
        return False

    def path(self) -> P:
        """Reads a path."""
        self.skip()
        if plain := _PLAIN_PATH.match(self._text, self._at):
            self._at = plain.end()
            return self._leaf(tuple(plain[1].encode("ascii").split(b"/")))
        self.eat("/")
        labels = []
        if self._next_is(_LABEL_START):
            labels.append(self._label())
            while self.maybe("/"):
                labels.append(self._label())
        return self._leaf(tuple(labels))

    def prefix(self) -> tuple[bytes | None, ...]:
        """Reads a table entry's prefix; None stands for the wildcard."""
        self.skip()
        self.eat("/")
        elems = []
        if self._next_is(_LABEL_START) or self._text.startswith("*", self._at):
            elems.append(self._elem())
            while self.maybe("/"):
                elems.append(self._elem())
        return tuple(elems)

    def tree(self) -> NameTree[P]:
        """Reads a name tree with at most 64 nested parentheses."""
        trees = [self._union()]
        while self.maybe("|"):
            trees.append(self._union())
        return trees[0] if len(trees) == 1 else Alt(tuple(trees))

    def too_much(self, what: str) -> NoReturn:
        """Raises ParseError for a text that is well formed but over a limit."""
        raise ParseError(f"more than {what}", self._text, self._at)

    def _union(self) -> NameTree[P]:
        members = [self._weighted()]
        self.skip()
        while self.maybe("&"):
            members.append(self._weighted())
            self.skip()
        return members[0].tree if len(members) == 1 else Union(tuple(members))

    def _weighted(self) -> Weighted[P]:
        self.skip()
        number = _NUMBER.match(self._text, self._at)
        if number is None:
            return Weighted(1.0, self._simple())
        self._at = number.end()
        if self._text.startswith(".", self._at):
            self._refuse("number char")
        if number[0] == ".":
            self._refuse("weight", "'.'")
        self.skip()
        self.eat("*")
        self.skip()
        return Weighted(min(float(number[0]), sys.float_info.max), self._simple())

    def _simple(self) -> NameTree[P]:
        if self._text.startswith("/", self._at):
            return Leaf(self.path())
        if self.maybe("!"):
            return FAIL
        if self.maybe("~"):
            return NEG
        if self.maybe("$"):
            return EMPTY
        if not self.maybe("("):
            self._refuse("simple")
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            self.too_much(f"{MAX_NESTING} nested parentheses")
        tree = self.tree()
        self.eat(")")
        self._nesting -= 1
        return tree

    def _elem(self) -> bytes | None:
        return None if self.maybe("*") else self._label()

    def _label(self) -> bytes:
        label = bytearray()
        while True:
            raw = _RAW_RUN.match(self._text, self._at)
            if raw is not None:
                label += raw[0].encode("ascii")
                self._at = raw.end()
            if not self.maybe("\\"):
                break
            self.eat("x")
            label.append(int(self._hex() + self._hex(), 16))
        if not label:
            self._refuse("label char")
        return bytes(label)

    def _hex(self) -> str:
        if not self._next_is(_HEX):
            self._refuse("hex char")
        self._at += 1
        return self._text[self._at - 1]

    def _next_is(self, pattern: re.Pattern[str]) -> bool:
        return pattern.match(self._text, self._at) is not None

    def _refuse(self, expected: str, found: str | None = None) -> NoReturn:
        if found is None:
            found = "end of input" if self.at_end else f"'{self._text[self._at]}'"
        raise ParseError(f"{expected} expected but {found} found", self._text, self._at)
