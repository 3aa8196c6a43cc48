"""Groups of equal weight: shares by weight times size, and what a busy group does."""

import random
from collections import Counter as Tally
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.balancers.aperture import ApertureConfig
from meshproxy.balancers.heap import Heap
from meshproxy.balancers.p2c import P2c
from meshproxy.balancers.weight_classes import WeightClasses
from meshproxy.errors import NoHosts
from meshproxy.metrics.tree import Tree
from meshproxy.net.wheel import wheel
from tests.kit.nodes import Node, draws, named, numbers


class World:
    """Weight classes of nodes, two choices within each."""

    def __init__(self, *nodes: Node, unit: Callable[[], float] = random.random) -> None:
        self.tree = Tree()
        self.made: list[P2c[Node]] = []
        self.classes: WeightClasses[Node] = WeightClasses(self.tree, "p2c", self._new, unit)
        self.picker = self.classes.update(nodes)

    def _new(self) -> P2c[Node]:
        self.made.append(P2c(self.tree, random=random.Random(2).random))
        return self.made[-1]

    def seen(self, *names: str) -> list[float]:
        found = numbers(self.tree)
        return [found[name] for name in names]


def test_with_one_weight_its_balancer_is_used_itself() -> None:
    world = World(*named("ab"))
    assert world.picker is world.made[0]
    assert world.classes.update([]) is world.made[0]
    assert world.classes.update([Node(weight=1.0)]) is world.made[0]
    other = world.classes.update([Node(weight=2.0)])
    assert other is world.made[1]
    assert [len(balancer.nodes) for balancer in world.made] == [0, 1]


def test_without_nodes_there_are_no_hosts() -> None:
    world = World()
    with pytest.raises(NoHosts):
        world.picker.pick()
    assert world.seen("size", "num_weight_classes") == [0, 0]


@pytest.mark.parametrize(
    ("unit", "name"), [(0.0, "light"), (0.33, "light"), (0.34, "heavy"), (0.999, "heavy")]
)
def test_a_class_is_drawn_by_weight_times_size(unit: float, name: str) -> None:
    nodes = [Node("heavy", weight=4.0), Node("light"), Node("light")]
    assert World(*nodes, unit=draws(unit)).picker.pick().name == name


@given(
    weights=st.lists(st.sampled_from([0.5, 1.0, 2.0, 5.0]), min_size=2, max_size=6),
    seed=st.integers(0, 99),
)
def test_over_many_draws_each_endpoint_has_the_share_of_its_weight(
    weights: list[float], seed: int
) -> None:
    nodes = [Node(str(place), weight=weight) for place, weight in enumerate(weights)]
    picker = World(*nodes, unit=random.Random(seed).random).picker
    count = 4000
    tally = Tally(picker.pick().name for _ in range(count))
    for node in nodes:
        share = node.weight / sum(weights)
        assert abs(tally[node.name] / count - share) < 0.05


def test_a_class_that_is_down_is_passed_over_for_the_next_heavier() -> None:
    one, two, three = (Node(str(n), weight=float(n)) for n in (1, 2, 3))
    two.is_open = False
    world = World(one, two, three, unit=lambda: 0.3)
    assert world.picker.pick() is three
    three.is_open = False
    assert world.picker.pick() is one
    assert world.seen("busy_weight_classes") == [2]
    two.is_open = True
    assert world.picker.pick() is two
    assert world.seen("busy_weight_classes") == [2]


def test_with_every_node_down_the_class_that_was_drawn_is_used() -> None:
    nodes = [Node(str(n), weight=float(n), is_open=False) for n in (1, 2)]
    assert World(*nodes, unit=lambda: 0.9).picker.pick() is nodes[1]
    assert World(*nodes, unit=lambda: 0.1).picker.pick() is nodes[0]


def test_a_weight_of_zero_is_for_when_nothing_else_is_open() -> None:
    spare, other = Node("spare", weight=0.0), Node("other")
    world = World(spare, other, unit=lambda: 0.0)
    assert world.picker.pick() is other
    other.is_open = False
    assert world.picker.pick() is spare
    assert World(spare).picker.pick() is spare
    assert World(spare, Node("huge", weight=float("inf"))).picker.pick().name == "huge"


def test_one_whose_weight_changes_takes_its_load_along() -> None:
    tree = Tree()
    classes: WeightClasses[Node] = WeightClasses(tree, "heap", lambda: Heap(tree))
    a, b, c = named("abc")
    classes.update([a, b, c])
    a.load.begin()
    a.weight = b.weight = 2.0
    classes.update([a, b, c])
    b.load.begin()
    b.load.begin()
    a.weight = b.weight = c.weight = 3.0
    picker = classes.update([a, b, c])
    assert picker.pick() is c
    with c.carrying(3):
        assert picker.pick() is a
    a.load.finish()
    b.load.finish()
    b.load.finish()


def test_the_state_of_all_classes_is_in_the_metrics() -> None:
    world = World(
        Node(pending=2, weight=2.0),
        Node(pending=1, is_open=False),
        Node(is_open=False, is_closed=True),
    )
    names = ("size", "available", "busy", "closed", "load", "algorithm/p2c", "num_weight_classes")
    assert world.seen(*names) == [3, 1, 1, 1, 3, 1, 2]


def test_what_comes_and_goes_is_counted_once_whatever_its_class() -> None:
    a, b, c = named("abc")
    world = World(a, b)
    b.weight = 2.0
    world.classes.update([b, c])
    assert world.seen("adds", "removes", "updates") == [3, 1, 2]


def test_what_a_kind_shows_is_summed_over_the_classes() -> None:
    tree = Tree()
    config = ApertureConfig(min_aperture=2)
    made = []

    def new_balancer() -> object:
        made.append(config.build(tree))
        return made[-1]

    classes: WeightClasses[Node] = WeightClasses(tree, config.algorithm, new_balancer)  # type: ignore[arg-type]
    light, heavy = named("abc"), [Node("d", weight=2.0)]
    classes.update([*light, *heavy])
    with light[0].carrying(), heavy[0].carrying():
        found = numbers(tree)
        assert found["logical_aperture"] == found["physical_aperture"] == 3
        assert found["loadband/offered_load_ema"] == 2
    classes.update(heavy)
    assert numbers(tree)["logical_aperture"] == 1
    for balancer in made:
        wheel.forget(balancer)  # type: ignore[arg-type]
