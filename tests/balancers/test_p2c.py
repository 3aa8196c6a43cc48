"""Power of two choices: the better of two draws, effort, failing open."""

from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.balancers.p2c import P2c, P2cConfig, two_choices
from meshproxy.errors import NoHosts
from meshproxy.ewma import LeastLoaded, PeakEwma
from meshproxy.metrics.instruments import Counter, Gauge
from meshproxy.metrics.tree import Tree


@dataclass(eq=False)
class Endpoint:
    name: str = "a"
    pending: int = 0
    is_open: bool = True
    is_closed: bool = False
    load: LeastLoaded = field(default_factory=LeastLoaded)

    def __post_init__(self) -> None:
        self.load.pending = self.pending


def draws(*units: float) -> Callable[[], float]:
    return iter(units).__next__


def numbers(tree: Tree) -> dict[str, float]:
    found = {}
    for scope, instrument in tree.walk():
        if isinstance(instrument, Counter):
            found["/".join(scope)] = float(instrument.value)
        elif isinstance(instrument, Gauge):
            found["/".join(scope)] = instrument.fn() if instrument.fn else instrument.value
    return found


@pytest.fixture
def tree() -> Tree:
    return Tree()


@pytest.mark.parametrize(
    ("first", "second", "better"),
    [
        pytest.param(Endpoint(pending=3), Endpoint(pending=1), 1, id="less load"),
        pytest.param(Endpoint(pending=1), Endpoint(pending=1), 0, id="a tie goes to the first"),
        pytest.param(
            Endpoint(pending=0, is_open=False), Endpoint(pending=9), 1, id="open beats idle"
        ),
        pytest.param(
            Endpoint(pending=9), Endpoint(pending=0, is_open=False), 0, id="open beats idle, first"
        ),
        pytest.param(
            Endpoint(pending=0, is_open=False, is_closed=True),
            Endpoint(pending=9, is_open=False),
            1,
            id="busy beats closed",
        ),
        pytest.param(
            Endpoint(pending=9, is_open=False),
            Endpoint(pending=0, is_open=False, is_closed=True),
            0,
            id="busy beats closed, first",
        ),
        pytest.param(
            Endpoint(pending=2, is_open=False),
            Endpoint(pending=1, is_open=False),
            1,
            id="less load among the busy",
        ),
    ],
)
def test_the_better_of_two_is_chosen(first: Endpoint, second: Endpoint, better: int) -> None:
    assert two_choices((first, second), 2, 0, 0) is (first, second)[better]


def test_the_second_draw_skips_the_first_node() -> None:
    nodes = [Endpoint(pending=3), Endpoint(pending=2), Endpoint(pending=1)]
    assert two_choices(nodes, 3, 1, 0) is nodes[1]
    assert two_choices(nodes, 3, 1, 1) is nodes[2]


def test_the_bound_keeps_later_nodes_out() -> None:
    nodes = [Endpoint(pending=9), Endpoint()]
    assert two_choices(nodes, 1, 0, 0) is nodes[0]
    with pytest.raises(NoHosts):
        two_choices(nodes, 0, 0, 0)


@given(
    loads=st.lists(st.integers(0, 5), min_size=2, max_size=8),
    unit=st.floats(0, 1, exclude_max=True),
)
def test_two_draws_are_never_the_same_node(loads: list[int], unit: float) -> None:
    nodes = [Endpoint(pending=load) for load in loads]
    bound = len(nodes)
    for first in range(bound):
        only_others = [*nodes]
        only_others[first] = Endpoint(is_open=False)
        assert two_choices(only_others, bound, first, int(unit * (bound - 1))).is_open


def test_an_empty_set_has_no_hosts(tree: Tree) -> None:
    balancer: P2c[Endpoint] = P2c(tree, "p2c")
    with pytest.raises(NoHosts):
        balancer.pick()
    balancer.update([Endpoint()])
    balancer.pick()
    balancer.update([])
    with pytest.raises(NoHosts):
        balancer.pick()


def test_only_the_present_set_is_picked_from(tree: Tree) -> None:
    balancer: P2c[Endpoint] = P2c(tree, "p2c")
    stays, goes, comes = Endpoint(), Endpoint(), Endpoint()
    balancer.update([stays, goes])
    balancer.update([stays, comes])
    assert {id(balancer.pick()) for _ in range(100)} <= {id(stays), id(comes)}
    seen = numbers(tree)
    assert (seen["adds"], seen["removes"], seen["updates"]) == (3, 1, 2)


def test_a_pick_that_is_down_is_drawn_again(tree: Tree) -> None:
    balancer: P2c[Endpoint] = P2c(tree, "p2c", max_effort=2, random=draws(0, 0.9))
    up = Endpoint()
    balancer.update([Endpoint(is_open=False), Endpoint(is_open=False), up])
    assert balancer.pick() is up
    assert numbers(tree)["max_effort_exhausted"] == 0


def test_with_every_node_down_one_is_used_all_the_same(tree: Tree) -> None:
    balancer: P2c[Endpoint] = P2c(tree, "p2c", max_effort=2)
    nodes = [Endpoint(is_open=False) for _ in range(3)]
    balancer.update(nodes)
    assert balancer.pick() in nodes
    assert numbers(tree)["max_effort_exhausted"] == 1


def test_effort_is_counted_before_it_fails_open(tree: Tree) -> None:
    units = draws(0, 0, 0)
    balancer: P2c[Endpoint] = P2c(tree, "p2c", max_effort=2, random=units)
    balancer.update([Endpoint(is_open=False), Endpoint(is_open=False), Endpoint()])
    assert not balancer.pick().is_open
    with pytest.raises(StopIteration):
        units()


def test_equal_nodes_share_the_traffic(tree: Tree) -> None:
    balancer: P2c[Endpoint] = P2c(tree, "p2c", random=draws(*(i / 144 for i in range(144))))
    balancer.update([Endpoint("a"), Endpoint("b"), Endpoint("c")])
    tally = Tally(balancer.pick().name for _ in range(144))
    assert tally == {"a": 48, "b": 48, "c": 48}


def test_the_state_of_the_set_is_in_the_metrics(tree: Tree) -> None:
    balancer: P2c[Endpoint] = P2c(tree, "p2c_least_loaded")
    balancer.update(
        [
            Endpoint(pending=2),
            Endpoint(pending=1, is_open=False),
            Endpoint(is_open=False, is_closed=True),
        ]
    )
    seen = numbers(tree)
    shown = ("size", "available", "busy", "closed", "load", "algorithm/p2c_least_loaded")
    assert [seen[name] for name in shown] == [3, 1, 1, 1, 3, 1]


def test_each_kind_has_its_load_and_its_name(tree: Tree) -> None:
    assert isinstance(P2cConfig().new_load(), LeastLoaded)
    load = EwmaConfig(decay_time_ms=1).new_load()
    assert isinstance(load, PeakEwma)
    assert load is not EwmaConfig().new_load()
    P2cConfig().build(tree.scope("p"))
    EwmaConfig().build(tree.scope("e"))
    seen = numbers(tree)
    assert seen["p/algorithm/p2c_least_loaded"] == seen["e/algorithm/p2c_peak_ewma"] == 1
