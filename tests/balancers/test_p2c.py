"""Power of two choices: the better of two draws."""

from collections import Counter as Tally

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.balancers.p2c import P2c, P2cConfig, two_choices
from meshproxy.errors import NoHosts
from meshproxy.ewma import LeastLoaded
from meshproxy.metrics.tree import Tree
from tests.kit.nodes import Node, draws, named, numbers


@pytest.fixture
def tree() -> Tree:
    return Tree()


@pytest.mark.parametrize(
    ("first", "second", "better"),
    [
        pytest.param(Node(pending=3), Node(pending=1), 1, id="less load"),
        pytest.param(Node(pending=1), Node(pending=1), 0, id="a tie goes to the first"),
        pytest.param(Node(pending=0, is_open=False), Node(pending=9), 1, id="open beats idle"),
        pytest.param(
            Node(pending=9), Node(pending=0, is_open=False), 0, id="open beats idle, first"
        ),
        pytest.param(
            Node(pending=0, is_open=False, is_closed=True),
            Node(pending=9, is_open=False),
            1,
            id="busy beats closed",
        ),
        pytest.param(
            Node(pending=9, is_open=False),
            Node(pending=0, is_open=False, is_closed=True),
            0,
            id="busy beats closed, first",
        ),
        pytest.param(
            Node(pending=2, is_open=False),
            Node(pending=1, is_open=False),
            1,
            id="less load among the busy",
        ),
    ],
)
def test_the_better_of_two_is_chosen(first: Node, second: Node, better: int) -> None:
    assert two_choices((first, second), 2, 0, 0) is (first, second)[better]


def test_the_second_draw_skips_the_first_node() -> None:
    nodes = [Node(pending=3), Node(pending=2), Node(pending=1)]
    assert two_choices(nodes, 3, 1, 0) is nodes[1]
    assert two_choices(nodes, 3, 1, 1) is nodes[2]


def test_the_bound_keeps_later_nodes_out() -> None:
    nodes = [Node(pending=9), Node()]
    assert two_choices(nodes, 1, 0, 0) is nodes[0]
    with pytest.raises(NoHosts):
        two_choices(nodes, 0, 0, 0)


@given(
    loads=st.lists(st.integers(0, 5), min_size=2, max_size=8),
    unit=st.floats(0, 1, exclude_max=True),
)
def test_two_draws_are_never_the_same_node(loads: list[int], unit: float) -> None:
    nodes = [Node(pending=load) for load in loads]
    bound = len(nodes)
    for first in range(bound):
        only_others = [*nodes]
        only_others[first] = Node(is_open=False)
        assert two_choices(only_others, bound, first, int(unit * (bound - 1))).is_open


def test_an_empty_set_has_no_hosts(tree: Tree) -> None:
    balancer: P2c[Node] = P2c(tree)
    with pytest.raises(NoHosts):
        balancer.pick()
    balancer.update([Node()])
    balancer.pick()
    balancer.update([])
    with pytest.raises(NoHosts):
        balancer.pick()


def test_a_pick_that_is_down_is_drawn_again(tree: Tree) -> None:
    balancer: P2c[Node] = P2c(tree, max_effort=2, random=draws(0, 0.9))
    up = Node()
    balancer.update([Node(is_open=False), Node(is_open=False), up])
    assert balancer.pick() is up
    assert numbers(tree)["max_effort_exhausted"] == 0


def test_effort_is_counted_before_it_fails_open(tree: Tree) -> None:
    units = draws(0, 0, 0)
    balancer: P2c[Node] = P2c(tree, max_effort=2, random=units)
    balancer.update([Node(is_open=False), Node(is_open=False), Node()])
    assert not balancer.pick().is_open
    assert numbers(tree)["max_effort_exhausted"] == 1
    with pytest.raises(StopIteration):
        units()


def test_equal_nodes_share_the_traffic(tree: Tree) -> None:
    balancer: P2c[Node] = P2c(tree, random=draws(*(i / 144 for i in range(144))))
    balancer.update(named("abc"))
    tally = Tally(balancer.pick().name for _ in range(144))
    assert tally == {"a": 48, "b": 48, "c": 48}


def test_the_configuration_is_what_it_goes_by(tree: Tree) -> None:
    config = P2cConfig(max_effort=3)
    balancer = config.build(tree, draws(0, 0, 0, 0))
    balancer.update([Node(is_open=False), Node(is_open=False)])
    balancer.pick()
    assert type(config.new_load()) is LeastLoaded
    assert config.algorithm == "p2c_least_loaded"
