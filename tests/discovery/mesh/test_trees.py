"""Paths, dtabs and trees as namerd's mesh has them, compared with Google's own library."""

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.mesh.trees import (
    MAX_DEPTH,
    read_bound_tree,
    read_dentry,
    read_path,
    write_dtab,
    write_path,
    write_tree,
)
from meshproxy.discovery.namerd import BoundName
from meshproxy.discovery.protobuf import double_member, member, values
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf, NameTree, Union, Weighted
from meshproxy.naming.path import Path
from tests.kit.mesh_messages import alt, leaf, message, path, read, union, write

WEB = Leaf(BoundName(Path.parse("/#/web"), Path()))
NONE: dict[str, Any] = {}


def named(bound_id: str, residual: str = "/") -> Leaf[BoundName]:
    return Leaf(BoundName(Path.parse(bound_id), Path.parse(residual)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/svc=>/#/web",
        "/svc/*=>/a | /b;/x=>0.30*/y & 0.70*~",
        r"/a=>!;/b=>$;/\x00\xff=>(/c | /d) & /e;/=>/f",
    ],
)
def test_a_dtab_is_written_and_read(text: str) -> None:
    dtab = Dtab.parse(text)
    wire = write_dtab(dtab)
    assert message("Dtab").FromString(wire).SerializeToString() == wire
    assert [read_dentry(each) for each in values(wire, 1)] == list(dtab)


def test_google_reads_a_rule_as_it_is_meant() -> None:
    (entry,) = read("Dtab", write_dtab(Dtab.parse("/svc/* => 2*/a & /b | !")))["dentries"]
    assert entry["prefix"]["elems"] == [{"label": "c3Zj"}, {"wildcard": {}}]
    assert entry["dst"] == alt(
        union((2.0, {"leaf": {"id": path("/a")}}), (1.0, {"leaf": {"id": path("/b")}})),
        {"fail": {}},
    )


@given(st.lists(st.binary(min_size=1, max_size=20)))
def test_a_path_is_written_and_read(segments: list[bytes]) -> None:
    assert read_path(write_path(Path(segments))) == Path(segments)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"neg": NONE}, NEG),
        ({"fail": NONE}, FAIL),
        ({"empty": NONE}, EMPTY),
        (leaf("/#/web"), WEB),
        ({"leaf": {"id": path("/#/web")}}, WEB),
        (leaf("/%/t/#/web", "/a/b"), named("/%/t/#/web", "/a/b")),
        (alt({"neg": NONE}, leaf("/#/web"), leaf("/#/other")), WEB),
        (alt({"neg": NONE}, {"fail": NONE}, leaf("/#/web")), FAIL),
        (alt(alt({"neg": NONE}), {"neg": NONE}), NEG),
        (
            union((1, alt({"neg": NONE}, leaf("/#/web"))), (0.5, leaf("/#/b")), (0, {"neg": NONE})),
            Union((Weighted(1.0, WEB), Weighted(0.5, named("/#/b")), Weighted(0.0, NEG))),
        ),
    ],
)
def test_a_bound_tree_is_read(sent: Any, expected: NameTree[BoundName]) -> None:
    assert read_bound_tree(write("BoundNameTree", sent)) == expected


def deep(depth: int) -> bytes:
    tree = member(1)
    for _ in range(depth):
        tree = member(4, member(1, tree))
    return tree


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"", "a tree of an unknown kind"),
        (member(6), "a leaf without an id"),
        (member(6, member(1, member(1))), "a path that is none"),
        (write("BoundNameTree", union((-1, leaf("/#/x")))), "a weight of -1"),
        (member(5, member(1, double_member(1, float("inf")))), "a weight of inf"),
        (deep(MAX_DEPTH), "nested too deeply"),
        (member(4, b"\x0a"), "does not end"),
    ],
)
def test_what_is_no_bound_tree_is_refused(wire: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read_bound_tree(wire)


def test_a_tree_may_be_as_deep_as_google_reads_it() -> None:
    assert read_bound_tree(deep(MAX_DEPTH - 1)) == NEG


@pytest.mark.parametrize(
    ("prefix", "why"),
    [(member(1, member(1)), "an empty segment"), (member(1), "an empty segment")],
)
def test_a_rule_without_a_prefix_that_can_be_is_refused(prefix: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read_dentry(member(1, prefix) + member(2, write_tree(NEG)))


def test_no_rule_is_none() -> None:
    assert read_dentry(b"") is None
    assert read_dentry(member(1) + member(2)) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_tree_or_refused(wire: bytes) -> None:
    try:
        read_bound_tree(wire)
    except Malformed:
        return
    try:
        google = message("BoundNameTree").FromString(wire)
    except DecodeError:
        return  # within a message of which nothing is read
    assert google.WhichOneof("node")
