"""One after the other, over those that are up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.balancers.round_robin import RoundRobin, RoundRobinConfig
from meshproxy.errors import NoHosts
from meshproxy.metrics.tree import Tree
from tests.kit.nodes import Node, named, numbers


def turns(nodes: list[Node], max_effort: int = 5) -> tuple[RoundRobin[Node], Tree]:
    tree = Tree()
    made: RoundRobin[Node] = RoundRobin(tree, max_effort)
    made.update(nodes)
    return made, tree


def names(made: RoundRobin[Node], count: int) -> str:
    return "".join(made.pick().name for _ in range(count))


def test_without_nodes_there_are_no_hosts() -> None:
    with pytest.raises(NoHosts):
        turns([])[0].pick()


def test_each_has_its_turn_in_order() -> None:
    assert names(turns(named("abc"))[0], 7) == "abcabca"


def test_loads_do_not_matter() -> None:
    assert names(turns([Node("a", 9), Node("b")])[0], 4) == "abab"


def test_one_that_goes_down_is_passed_over_and_one_that_comes_up_has_its_turn() -> None:
    nodes = named("abc")
    made, tree = turns(nodes)
    nodes[1].is_open = False
    assert set(names(made, 8)) == {"a", "c"}
    assert numbers(tree) == {"rebuilds": 2, "max_effort_exhausted": 0}
    nodes[1].is_open = True
    assert sorted(names(made, 6)) == list("aabbcc")
    assert numbers(tree)["rebuilds"] == 3


def test_with_every_node_down_all_have_their_turn() -> None:
    nodes = [Node(name, is_open=False) for name in "abc"]
    made, tree = turns(nodes, max_effort=1)
    assert set(names(made, 3)) == set("abc")
    assert numbers(tree)["max_effort_exhausted"] == 3


def test_a_rebuild_goes_on_with_the_next() -> None:
    nodes = named("abcd")
    made, _ = turns(nodes)
    assert names(made, 2) == "ab"
    made.rebuild()
    assert names(made, 2) == "cd"


@given(
    count=st.integers(1, 5),
    max_effort=st.integers(0, 5),
    changes=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=40),
)
def test_none_is_down_while_another_is_up(
    count: int, max_effort: int, changes: list[tuple[int, bool]]
) -> None:
    nodes = named("abcde"[:count])
    made, _ = turns(nodes, max_effort)
    for place, is_open in changes:
        nodes[place % count].is_open = is_open
        assert made.pick().is_open or not any(node.is_open for node in nodes)


def test_the_kind_builds_it_under_its_own_name() -> None:
    tree, config = Tree(), RoundRobinConfig(max_effort=1)
    made = config.build(tree)
    made.update([Node(is_open=False)])
    made.pick()
    assert numbers(tree)["max_effort_exhausted"] == 1
    assert config.algorithm == "round_robin"
