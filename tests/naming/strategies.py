"""Random paths, trees and tables for the laws that every one of them keeps."""

from hypothesis import strategies as st

from meshproxy.naming.dtab import Dentry, Dtab, Prefix
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Alt, Leaf, NameTree, Union, Weighted
from meshproxy.naming.path import Path

segments = st.sampled_from([b"a", b"b", b"a.b:80", b"#", b"\xff /"]) | st.binary(
    min_size=1, max_size=4
)
paths = st.lists(segments, max_size=4).map(Path)
weights = st.integers(0, 400).map(lambda hundredths: hundredths / 100)
"""Weights that their two shown decimals tell whole."""


def _of_several(members: st.SearchStrategy[NameTree[Path]]) -> st.SearchStrategy[NameTree[Path]]:
    weighted = st.builds(Weighted, weights, members)
    return st.builds(Alt, st.lists(members, min_size=2, max_size=4).map(tuple)) | st.builds(
        Union, st.lists(weighted, min_size=2, max_size=4).map(tuple)
    )


leaves: st.SearchStrategy[NameTree[Path]] = st.builds(Leaf, paths) | st.sampled_from(
    [NEG, FAIL, EMPTY]
)
trees = st.recursive(leaves, _of_several, max_leaves=12)
prefixes = st.lists(st.none() | segments, max_size=3).map(Prefix)
dtabs = st.lists(st.builds(Dentry, prefixes, trees), max_size=5).map(Dtab)
