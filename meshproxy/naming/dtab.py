"""Delegation tables: rules that rewrite the beginning of a path (finagle: DtabBase.scala)."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshproxy.naming.nametree import NEG, Alt, NameTree
from meshproxy.naming.parser import Parser
from meshproxy.naming.path import Path, show_segment


class Prefix(tuple[bytes | None, ...]):
    """The left side of an entry; None stands for the wildcard, one whole segment."""

    __slots__ = ()

    def matches(self, path: Path) -> bool:
        """Whether every element equals the path's segment or is the wildcard."""
        if path[: len(self)] == self:
            return True
        return (
            None in self
            and len(self) <= len(path)
            and all(e is None or e == s for e, s in zip(self, path, strict=False))
        )

    def show(self) -> str:
        """Return the canonical text."""
        return "/" + "/".join(["*" if elem is None else show_segment(elem) for elem in self])


@dataclass(frozen=True, slots=True)
class Dentry:
    """One rule: names under *prefix* stand for *dst*, each leaf followed by the rest."""

    prefix: Prefix
    dst: NameTree[Path]

    def show(self) -> str:
        """Return the canonical text."""
        return f"{self.prefix.show()}=>{self.dst.show()}"


class Dtab(tuple[Dentry, ...]):
    """Rules in file order; the later ones are preferred."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str, *, limit: int | None = None) -> "Dtab":
        """Read a table such as `/svc => /srv ; /srv => /#/io.l5d.fs`.

        Raises:
            ParseError: the text is no table, or has more than *limit* entries.
        """
        parser = Parser(text, Path)
        entries: list[Dentry] = []
        while True:
            parser.skip()
            if not parser.at_end:
                if len(entries) == limit:
                    parser.too_much(f"{limit} entries")
                entries.append(_read_entry(parser))
                parser.skip()
            if not parser.maybe(";"):
                break
        parser.end()
        return cls(entries)

    def matching(self, path: Path) -> list[Dentry]:
        """Return the entries that apply to *path*, the preferred one first."""
        return [entry for entry in reversed(self) if entry.prefix.matches(path)]

    def lookup(self, path: Path) -> NameTree[Path]:
        """Take one step: the destinations with the rest of *path* on every leaf."""
        trees = [_with_rest(entry, path) for entry in self.matching(path)]
        if not trees:
            return NEG
        return trees[0] if len(trees) == 1 else Alt(tuple(trees))

    def show(self) -> str:
        """Return the canonical text."""
        return ";".join([entry.show() for entry in self])

    def __add__(self, other: Iterable[Dentry]) -> "Dtab":  # type: ignore[override]
        return Dtab((*self, *other))

    def __repr__(self) -> str:
        return f"Dtab({self.show()!r})"


def parse_tree(text: str) -> NameTree[Path]:
    """Read a name tree such as `9*/a & 1*/b | ~`.

    Raises:
        ParseError: the text is no tree.
    """
    parser = Parser(text, Path)
    tree = parser.tree()
    parser.end()
    return tree


def _read_entry(parser: Parser[Path]) -> Dentry:
    prefix = Prefix(parser.prefix())
    parser.skip()
    parser.eat("=")
    parser.eat(">")
    return Dentry(prefix, parser.tree())


def _with_rest(entry: Dentry, path: Path) -> NameTree[Path]:
    rest = path.drop(len(entry.prefix))
    return entry.dst.map(lambda leaf: leaf + rest)
