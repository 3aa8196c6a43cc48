"""Prefix patterns: what matches, what is captured, what is put in its place."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.nameset import NameSet
from meshproxy.naming.path import Path


def match(pattern: str, path: str) -> dict[str, str] | None:
    return PathMatcher.parse(pattern).match(Path.parse(path))


@pytest.mark.parametrize(
    ("pattern", "path", "captures"),
    [
        pytest.param("/", "/a/b", {}, id="root-matches-all"),
        pytest.param("", "/", {}, id="empty-matches-the-root"),
        pytest.param("//a/b/", "/a/b", {}, id="outer-slashes-vanish"),
        pytest.param("a/b", "/a/b/c", {}, id="prefix-without-slash"),
        pytest.param("/a//b", "/a/b", None, id="inner-empty-part"),
        pytest.param("/a/b", "/a", None, id="path-too-short"),
        pytest.param("/a/B", "/a/b", None, id="case"),
        pytest.param("/a/*", "/a/b", {}, id="star"),
        pytest.param("/a/*", "/a", None, id="star-beyond-the-end"),
        pytest.param("/w*", "/web", None, id="star-in-a-part-is-text"),
        pytest.param("/{x}", r"/a\x20b", {"x": r"\x61\x20\x62"}, id="shown-segments"),
        pytest.param(r"/\x61\x20\x62", r"/a\x20b", {}, id="escaped-text"),
        pytest.param("/{a}.com", "/shop.com.au", {"a": "shop"}, id="unanchored-end"),
        pytest.param("/v{n}", "/rev2", {"n": "2"}, id="unanchored-start"),
        pytest.param("/{a}-{b}", "/a-b-c", {"a": "a-b", "b": "c"}, id="greedy"),
        pytest.param("/{a}{b}", "/abc", {"a": "abc", "b": ""}, id="all-to-the-first"),
        pytest.param("/x{a}", "/x", {"a": ""}, id="empty-capture"),
        pytest.param("/{a}:http", "/web:https", {"a": "web"}, id="colon"),
        pytest.param("/a.{b}", "/axb", None, id="dot-is-literal"),
        pytest.param("/${b}", "/a", None, id="dollar-is-literal"),
        pytest.param("/a${b}", "/a$1", {"b": "1"}, id="dollar-matches-itself"),
        pytest.param("/{a}b{c}b", "/ab", None, id="texts-do-not-overlap"),
        pytest.param("/bb{a}b", "/bb", None, id="first-text-does-not-overlap"),
        pytest.param("/{a-b}", "/x", None, id="hyphen-is-no-name"),
        pytest.param("/{a.b}", "/x", None, id="dot-breaks-the-name"),
        pytest.param("/{}", "/x", None, id="empty-name"),
        pytest.param("/{a_:B9}", "/x", {"a_:B9": "x"}, id="all-name-characters"),
        pytest.param("/{x}/{x}", "/a/b", {"x": "b"}, id="last-of-two-parts"),
        pytest.param("/{x}-{x}", "/a-b", {"x": "b"}, id="last-in-one-part"),
        pytest.param("/{a}/c", "/b/d", None, id="mismatch-after-a-capture"),
    ],
)
def test_matching(pattern: str, path: str, captures: dict[str, str] | None) -> None:
    assert match(pattern, path) == captures


parts = st.lists(st.sampled_from(["{x}", "{y}", "{z}", "a", "b", "ab", "-", "."]), min_size=1)


@given(parts.map("".join), st.text("ab-.", min_size=1))
def test_captures_are_those_of_a_greedy_search(pattern: str, segment: str) -> None:
    names = re.findall(r"\{(\w)\}", pattern)
    literals = re.split(r"\{\w\}", pattern)
    search = re.search("(.*)".join(map(re.escape, literals)), segment)
    expected = None if search is None else dict(zip(names, search.groups(), strict=True))
    if not names:
        expected = {} if pattern == segment else None
    assert PathMatcher.parse(pattern).match(Path.of(segment)) == expected


def test_captures_are_listed_once_in_order() -> None:
    matcher = PathMatcher.parse("/{b}-{a}/*/x/{b}/{c}")
    assert matcher.captures == ("b", "a", "c")


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("{a}", "1"),
        ("*.{a}.{b}.{a}", "*.1.2.1"),
        ("{nope}{a", "{nope}{a"),
        ("{{a}}", "{1}"),
        ("", ""),
    ],
)
def test_known_variables_are_replaced_and_others_stay(template: str, result: str) -> None:
    assert PathMatcher.substitute(template, {"a": "1", "b": "2"}) == result


def test_a_replaced_value_is_not_replaced_again() -> None:
    assert PathMatcher.substitute("{a}", {"a": "{b}", "b": "2"}) == "{b}"


def test_variables_without_a_capture_are_told() -> None:
    matcher = PathMatcher.parse("/#/x/{service}")
    assert matcher.unknown_in("{service}.{servce}.{a-b}") == ["servce", "a-b"]


def test_equal_patterns_are_equal() -> None:
    assert PathMatcher.parse("/a/{b}") == PathMatcher.parse("/a/{b}")
    assert hash(PathMatcher.parse("/a/{b}")) == hash(PathMatcher.parse("/a/{b}"))


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        ("/", NameSet((b"a",), is_open=False), True),
        ("/a/*", NameSet((b"a",)), True),
        ("/a/*", NameSet((b"a",), is_open=False), False),
        ("/a/{x}.com", NameSet((b"a", b"b.org")), False),
        ("/a/{x}.com", NameSet((b"a", b"b.com", b"c")), True),
        ("/a/{x}.com", NameSet((b"a", None)), True),
        ("/b", NameSet((b"a",)), False),
        ("/a/b", NameSet((None, b"c")), False),
    ],
)
def test_a_pattern_may_match_some_of_many_names(
    pattern: str, names: NameSet, expected: bool
) -> None:
    assert PathMatcher.parse(pattern).meets(names) == expected
