"""Trees: show, simplify, evaluate, map, and the draw."""

import random

import pytest
from hypothesis import given

from meshproxy.naming.nametree import (
    EMPTY,
    FAIL,
    NEG,
    Alt,
    Leaf,
    NameTree,
    Union,
    Weighted,
    choose,
)
from meshproxy.naming.path import Path
from tests.kit.names import parse_tree
from tests.kit.trees import Evaluated, evaluate, simplify
from tests.naming.strategies import trees


def found(text: str) -> Evaluated[Path]:
    return evaluate(parse_tree(text))


def paths(*texts: str) -> frozenset[Path]:
    return frozenset(Path.parse(text) for text in texts)


@given(trees)
def test_the_shown_text_parses_to_the_same_tree(tree: NameTree[Path]) -> None:
    assert parse_tree(tree.show()) == tree


@given(trees)
def test_simplifying_keeps_the_evaluation_and_is_final(tree: NameTree[Path]) -> None:
    simple = simplify(tree)
    assert evaluate(simple) == evaluate(tree)
    assert simplify(simple) == simple


@given(trees)
def test_mapping_keeps_the_shape(tree: NameTree[Path]) -> None:
    assert tree.map(lambda path: path) == tree
    doubled = evaluate(tree.map(lambda path: path + path))
    leaves = evaluate(tree)
    if isinstance(leaves, frozenset):
        assert doubled == frozenset(path + path for path in leaves)
    else:
        assert doubled == leaves


@pytest.mark.parametrize(
    ("text", "leaves", "simplified"),
    [
        ("~ | /x | /y", paths("/x"), "/x | /y"),
        ("/x | ! | /y", paths("/x"), "/x | !"),
        ("~ | ! | /x", FAIL, "!"),
        ("! & !", NEG, "~"),
        ("(! & ~) | /b", paths("/b"), "/b"),
        ("$ | /x", frozenset(), "$ | /x"),
        ("7*/x & 3*~", paths("/x"), "/x"),
        ("2*/x & 3*/y & !", paths("/x", "/y"), "2.00*/x & 3.00*/y"),
        ("(/x & $) | /y", paths("/x"), "/x & $ | /y"),
    ],
)
def test_evaluation_and_simplification(text: str, leaves: Evaluated[Path], simplified: str) -> None:
    assert found(text) == leaves
    assert simplify(parse_tree(text)).show() == simplified


@pytest.mark.parametrize("tree", [Alt(()), Union(())])
def test_a_tree_of_nothing_is_negative(tree: NameTree[Path]) -> None:
    assert evaluate(tree) == simplify(tree) == NEG


def test_a_lone_member_of_a_union_is_itself() -> None:
    union: NameTree[Path] = Union((Weighted(2.0, FAIL),))
    assert simplify(union) == evaluate(union) == FAIL


@pytest.mark.parametrize(
    ("weight", "shown"),
    [
        (1.0, "/a"),
        (0.5, "0.50*/a"),
        (0.125, "0.13*/a"),
        (0.135, "0.14*/a"),
        (1.005, "1.01*/a"),
        (1.001, "1.00*/a"),
        (0.994, "0.99*/a"),
        (0.0, "0.00*/a"),
        (1e22, "10000000000000000000000.00*/a"),
    ],
)
def test_weights_show_two_decimals_rounded_half_up(weight: float, shown: str) -> None:
    leaf = Leaf(Path.of("a"))
    assert Union((Weighted(weight, leaf),)).show() == shown


def draw_many(tree: NameTree[str], count: int = 4000) -> dict[str | None, float]:
    source = random.Random(7)
    drawn = [choose(tree, source.random) for _ in range(count)]
    return {one: drawn.count(one) / count for one in set(drawn)}


def union(**weights: float) -> Union[str]:
    return Union(tuple(Weighted(weight, Leaf(name)) for name, weight in weights.items()))


def test_a_leaf_is_chosen_without_a_draw() -> None:
    assert choose(Leaf("a"), lambda: pytest.fail("drew")) == "a"


@pytest.mark.parametrize("tree", [NEG, FAIL, EMPTY, Union(())])
def test_nobody_is_found_where_nobody_is(tree: NameTree[str]) -> None:
    assert choose(tree, lambda: 0.5) is None


def test_members_are_drawn_by_their_share_of_the_weight() -> None:
    shares = draw_many(union(a=9, b=1))
    assert shares == pytest.approx({"a": 0.9, "b": 0.1}, abs=0.03)


def test_all_zero_weights_are_equal_ones() -> None:
    assert draw_many(union(a=0, b=0)) == pytest.approx({"a": 0.5, "b": 0.5}, abs=0.03)


@pytest.mark.parametrize("drawn", [0.0, 0.5, 0.9999999999999999])
def test_a_zero_weight_beside_another_is_never_drawn(drawn: float) -> None:
    assert choose(union(a=0, b=1, c=0), lambda: drawn) == "b"


def test_a_share_begins_where_the_one_before_ends() -> None:
    draws = iter([0.0, 0.49, 0.5])
    assert [choose(union(a=1, b=1), draws.__next__) for _ in range(3)] == ["a", "a", "b"]


def test_nested_unions_draw_again() -> None:
    tree = Union((Weighted(1, union(a=1, b=1)), Weighted(1, Leaf("c"))))
    expected = {"a": 0.25, "b": 0.25, "c": 0.5}
    assert draw_many(tree) == pytest.approx(expected, abs=0.03)


def test_an_empty_member_gets_its_share() -> None:
    tree: NameTree[str] = Union((Weighted(1, Leaf("a")), Weighted(1, EMPTY)))
    assert draw_many(tree) == pytest.approx({"a": 0.5, None: 0.5}, abs=0.03)


def test_weights_beyond_all_numbers_still_choose_somebody() -> None:
    largest = 1.7e308
    assert choose(union(a=largest, b=largest), lambda: 0.0) in {"a", "b"}
    assert choose(union(a=largest, b=largest), lambda: 0.9) in {"a", "b"}
