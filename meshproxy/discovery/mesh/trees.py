"""Paths, dtabs and name trees of the mesh (dtab.proto, interpreter.proto)."""

from collections.abc import Callable
from math import isfinite
from typing import Final, TypeVar

from meshproxy.discovery.namerd import BoundName
from meshproxy.discovery.protobuf import (
    FIXED64,
    double,
    double_member,
    member,
    one_of,
    value_of,
    values,
)
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.naming.dtab import Dentry, Dtab, Prefix
from meshproxy.naming.nametree import (
    EMPTY,
    FAIL,
    NEG,
    Alt,
    Empty,
    Fail,
    Leaf,
    NameTree,
    Neg,
    Union,
    Weighted,
)
from meshproxy.naming.path import Path

T = TypeVar("T")

MAX_DEPTH: Final = 100
"""Trees within trees, as in Google's own readers of protobuf."""
_NODES: Final = range(1, 7)


def write_path(path: Path) -> bytes:
    """Returns a Path."""
    return b"".join([member(1, segment) for segment in path])


def write_dtab(dtab: Dtab) -> bytes:
    """Returns a Dtab."""
    return b"".join([member(1, _write_dentry(entry)) for entry in dtab])


def write_tree(tree: NameTree[Path]) -> bytes:
    """Returns a PathNameTree."""
    match tree:
        case Neg():
            return member(1)
        case Fail():
            return member(2)
        case Empty():
            return member(3)
        case Alt(trees):
            return member(4, *[member(1, write_tree(each)) for each in trees])
        case Union(weighted):
            shares = [
                double_member(1, weight) + member(2, write_tree(each)) for weight, each in weighted
            ]
            return member(5, *[member(1, share) for share in shares])
        case Leaf(path):
            return member(6, member(1, write_path(path)))


def read_path(data: bytes | None) -> Path:
    """Returns a path, the empty one for None. Raises `Malformed`."""
    try:
        return Path(values(data or b"", 1))
    except ValueError as error:
        raise Malformed(f"a path that is none: {error}") from error


def read_dentry(data: bytes) -> Dentry | None:
    """Returns a rule; None for one without a prefix and a destination. Raises `Malformed`."""
    prefix, dst = value_of(data, 1), value_of(data, 2)
    if not prefix and not dst:
        return None
    elems: list[bytes | None] = []
    for elem in values(prefix or b"", 1):
        number, label = one_of(elem, range(1, 3))
        if not label and number != 2:
            raise Malformed("a prefix with an empty segment")
        elems.append(label if number == 1 else None)
    return Dentry(Prefix(elems), _read_tree(dst or b"", _read_leaf_path, 0))


def read_bound_tree(data: bytes) -> NameTree[BoundName]:
    """Returns a BoundNameTree, of alternatives the one that counts. Raises `Malformed`."""
    return _settled(_read_tree(data, read_bound_name, 0))


def read_bound_name(data: bytes) -> BoundName:
    """Returns the id and the residual path of a bound name. Raises `Malformed`."""
    bound_id = read_path(value_of(data, 1))
    if not bound_id:
        raise Malformed("a leaf without an id")
    return BoundName(bound_id, read_path(value_of(data, 2)))


def read_weighted(data: bytes) -> tuple[float, bytes]:
    """Returns a member of a union, its tree still to be read. Raises `Malformed`."""
    weight = double(value_of(data, 1, FIXED64))
    if not (isfinite(weight) and weight >= 0):
        raise Malformed(f"a weight of {weight}")
    return weight, value_of(data, 2) or b""


def one_deeper(depth: int) -> int:
    """Returns the depth of what a tree contains. Raises `Malformed` beyond `MAX_DEPTH`."""
    if depth >= MAX_DEPTH:
        raise Malformed("a tree is nested too deeply")
    return depth + 1


def _write_dentry(entry: Dentry) -> bytes:
    elems = [member(2) if elem is None else member(1, elem) for elem in entry.prefix]
    return member(1, *[member(1, elem) for elem in elems]) + member(2, write_tree(entry.dst))


def _read_leaf_path(data: bytes) -> Path:
    return read_path(value_of(data, 1))


def _read_tree(data: bytes, leaf: Callable[[bytes], T], depth: int) -> NameTree[T]:
    """Reads a PathNameTree or a BoundNameTree, which differ in what *leaf* reads."""
    deeper = one_deeper(depth)
    match one_of(data, _NODES):
        case 1, _:
            return NEG
        case 2, _:
            return FAIL
        case 3, _:
            return EMPTY
        case 4, sent:
            return Alt(tuple([_read_tree(each, leaf, deeper) for each in values(sent, 1)]))
        case 5, sent:
            shares = map(read_weighted, values(sent, 1))
            return Union(
                tuple([Weighted(share, _read_tree(each, leaf, deeper)) for share, each in shares])
            )
        case 6, sent:
            return Leaf(leaf(sent))
    raise Malformed("a tree of an unknown kind")


def _settled(tree: NameTree[T]) -> NameTree[T]:
    """Returns *tree* with each alternation replaced by the member that counts."""
    match tree:
        case Alt(trees):
            settled = (_settled(each) for each in trees)
            return next((each for each in settled if not isinstance(each, Neg)), NEG)
        case Union(weighted):
            return Union(tuple([Weighted(weight, _settled(each)) for weight, each in weighted]))
    return tree
