"""The least loaded of all, exactly; equals share; what is down waits aside."""

import random
from collections import Counter as Tally

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.balancers.followed_load import FollowedLoad
from meshproxy.balancers.heap import Heap, HeapConfig
from meshproxy.errors import NoHosts
from meshproxy.metrics.tree import Tree
from tests.kit.nodes import Node, draws, named, numbers


def heap(*nodes: Node, units: tuple[float, ...] = ()) -> Heap[Node]:
    made: Heap[Node] = Heap(Tree(), draws(*units) if units else random.Random(1).random)
    made.update(nodes)
    return made


def test_without_nodes_there_are_no_hosts() -> None:
    with pytest.raises(NoHosts):
        heap().pick()


def test_the_least_loaded_is_picked_whatever_the_draw() -> None:
    nodes = [Node("a", 3), Node("b", 1), Node("c", 2)]
    assert heap(*nodes, units=(0.99,)).pick().name == "b"


def test_requests_that_begin_and_end_change_the_choice() -> None:
    a, b = named("ab")
    made = heap(a, b)
    with a.carrying(2):
        assert made.pick() is b
        with b.carrying(3):
            assert made.pick() is a
        assert made.pick() is b
    with b.carrying():
        assert made.pick() is a


def test_equals_are_drawn_by_lot() -> None:
    nodes = named("abcd")
    made = heap(*nodes, Node("busy", 1), units=(0.0, 0.25, 0.5, 0.75))
    assert {made.pick() for _ in range(4)} == set(nodes)


def test_one_that_is_down_is_left_out_until_it_is_up_again() -> None:
    a, b = Node("a"), Node("b", 5)
    made = heap(a, b)
    a.is_open = False
    assert made.pick() is b
    with a.carrying(2):
        a.is_open = True
        assert made.pick() is a
    a.is_open = False
    assert made.pick() is b


def test_with_every_node_down_the_least_loaded_is_used() -> None:
    nodes = [Node("a", 2, is_open=False), Node("b", 1, is_open=False), Node("c", 1, is_open=False)]
    made = heap(*nodes)
    assert Tally(made.pick().name for _ in range(200)).keys() == {"b", "c"}
    with nodes[1].carrying(), nodes[2].carrying(2):
        assert {made.pick().name for _ in range(50)} == {"a", "b"}


def test_one_that_left_finishes_without_a_place() -> None:
    a, b, c = named("abc")
    made = heap(a, b)
    a.load.begin()
    made.update([b, c])
    a.load.finish()
    with b.carrying():
        assert made.pick() is c
    assert a.load.pending == 0


def test_one_that_stays_keeps_its_load() -> None:
    a, b, c = named("abc")
    made = heap(a, b)
    with a.carrying(), b.carrying(2):
        made.update([a, b, c])
        assert made.pick() is c
        with c.carrying(2):
            assert made.pick() is a


CHANGES = st.lists(
    st.tuples(st.sampled_from(["begin", "finish", "down", "up"]), st.integers(0, 4)), max_size=80
)


@given(count=st.integers(1, 5), changes=CHANGES, seed=st.integers(0, 99))
def test_no_open_node_has_less_and_none_is_down_while_another_is_up(
    count: int, changes: list[tuple[str, int]], seed: int
) -> None:
    nodes = named("abcde"[:count])
    made: Heap[Node] = Heap(Tree(), random.Random(seed).random)
    made.update(nodes)
    for change, place in changes:
        node = nodes[place % count]
        match change:
            case "begin":
                node.load.begin()
            case "finish" if node.load.pending:
                node.load.finish()
            case "down" | "up":
                node.is_open = change == "up"
        picked = made.pick()
        eligible = [one for one in nodes if one.is_open] or nodes
        assert picked in eligible
        assert picked.load.pending == min(one.load.pending for one in eligible)


def test_the_kind_follows_loads_under_its_own_name() -> None:
    tree, config = Tree(), HeapConfig()
    made = config.build(tree)
    made.update(named("ab"))
    assert isinstance(config.new_load(), FollowedLoad)
    assert config.algorithm == "heap_least_loaded"
    assert numbers(tree) == {"rebuilds": 1}
    assert made.gauges() == {}
