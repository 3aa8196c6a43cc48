"""Name trees from text, for tests that begin with one."""

from meshproxy.naming.nametree import NameTree
from meshproxy.naming.parser import Parser
from meshproxy.naming.path import Path


def parse_tree(text: str) -> NameTree[Path]:
    """Reads a name tree such as `9*/a & 1*/b | ~`. Raises ParseError."""
    parser = Parser(text, Path)
    tree = parser.tree()
    parser.end()
    return tree
