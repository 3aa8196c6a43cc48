"""Tables: parse, show, and one step of lookup."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.naming.dtab import Dentry, Dtab
from meshproxy.naming.nametree import NEG, Alt
from meshproxy.naming.parser import ParseError
from meshproxy.naming.path import Path
from tests.kit.effort import lines_run
from tests.kit.names import parse_tree
from tests.naming.strategies import dtabs, paths


@given(dtabs)
def test_the_shown_text_parses_to_the_same_table(dtab: Dtab) -> None:
    again = Dtab.parse(dtab.show())
    assert again == dtab
    assert hash(again) == hash(dtab)


def applies(entry: Dentry, path: Path) -> bool:
    prefix = entry.prefix
    return len(prefix) <= len(path) and all(
        elem is None or elem == segment for elem, segment in zip(prefix, path, strict=False)
    )


@given(dtabs, paths | st.just(Path.of("a", "b", "a")))
def test_the_applying_entries_are_found_last_to_first(dtab: Dtab, path: Path) -> None:
    assert dtab.matching(path) == [entry for entry in reversed(list(dtab)) if applies(entry, path)]


@pytest.mark.parametrize(
    ("dtab", "path", "tree"),
    [
        ("", "/a", "~"),
        ("/a=>/x", "/b", "~"),
        ("/a=>/x", "/a/b/c", "/x/b/c"),
        ("/a=>/1;/a=>/2;/a/b=>/3", "/a/b/c", "/3/c | /2/b/c | /1/b/c"),
        ("/a/b=>/3;/a=>/1", "/a/b/c", "/1/b/c | /3/c"),
        ("/sv=>/x", "/svc", "~"),
        ("/svc/world=>/x", "/svc/world:80", "~"),
        ("/http/*/GET=>/svc", "/http/1.1/GET/hello", "/svc/hello"),
        ("/*=>/x", "/", "~"),
        ("/*/*=>/x", "/a/b/c", "/x/c"),
        (r"/\x2a=>/x", "/a", "~"),
        ("/=>/x", "/", "/x"),
        ("/a=>/x & 2*/y | ! | ~ | $", "/a/q", "/x/q & 2.00*/y/q | ! | ~ | $"),
        ("/a=>~", "/a", "~"),
        ("/a=>~;/a=>~", "/a", "~ | ~"),
    ],
)
def test_one_step_of_lookup(dtab: str, path: str, tree: str) -> None:
    assert Dtab.parse(dtab).lookup(Path.parse(path)).show() == tree


def test_no_match_is_exactly_negative_and_one_match_is_not_wrapped() -> None:
    assert Dtab().lookup(Path.of("a")) is NEG
    assert not isinstance(Dtab.parse("/a=>/b").lookup(Path.of("a")), Alt)


def test_joined_tables_prefer_the_second() -> None:
    joined = Dtab.parse("/a=>/1") + Dtab.parse("/a=>/2")
    assert type(joined) is Dtab
    assert joined.lookup(Path.of("a")).show() == "/2 | /1"


@given(dtabs, dtabs, dtabs, paths)
def test_a_sum_is_as_good_as_one_table(one: Dtab, two: Dtab, three: Dtab, path: Path) -> None:
    total, whole = one + (two + three), Dtab([*one, *two, *three])
    assert total == whole
    assert hash(total) == hash(whole)
    assert (len(total), list(total)) == (len(whole), list(whole))
    assert total.matching(path) == whole.matching(path)


def test_tables_with_other_rules_are_not_equal() -> None:
    assert Dtab.parse("/a=>/1;/a=>/2") != Dtab.parse("/a=>/2;/a=>/1")
    assert Dtab() != ()


def test_a_sum_costs_the_same_whatever_its_parts_hold() -> None:
    def lines_of_a_lookup(entries: int) -> int:
        base = Dtab.parse(";".join(f"/a{number} => /b" for number in range(entries)))
        base.matching(Path.of("a1"))
        local = Dtab.parse("/c => /d")
        return lines_run(lambda: (base + local).matching(Path.of("a1")))

    assert lines_of_a_lookup(1000) == lines_of_a_lookup(10)


@pytest.mark.parametrize("text", ["/a=>/b", "/a=>/b;/c=>/d;", "", " # nothing\n"])
def test_a_table_within_the_limit_is_read(text: str) -> None:
    assert Dtab.parse(text, limit=2) == Dtab.parse(text)


def test_a_table_over_the_limit_is_refused() -> None:
    with pytest.raises(ParseError, match=r"^more than 2 entries at '/a=>/b;/c=>/d; \[/\]e=>/f'$"):
        Dtab.parse("/a=>/b;/c=>/d; /e=>/f", limit=2)


def test_many_shapes_of_prefix_make_a_lookup_dearer() -> None:
    shapes = ";".join("/a" * length + "=>~" for length in range(1, 65))
    assert Dtab.parse(shapes).surcharge == 2
    assert Dtab.parse(";".join(f"/a{number}=>~" for number in range(200))).surcharge == 0


def test_the_representation_shows_the_table() -> None:
    assert repr(Dtab.parse("/a => /b ;")) == "Dtab('/a=>/b')"


def test_a_text_after_the_tree_is_refused() -> None:
    with pytest.raises(ParseError, match="end of input expected"):
        parse_tree("/a /b")
