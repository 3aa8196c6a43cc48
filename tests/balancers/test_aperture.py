"""A window of endpoints: which stand in it, how wide it is, what happens outside."""

import math
from collections.abc import Iterator

import pytest

from meshproxy.balancers.aperture import Aperture, ApertureConfig
from meshproxy.balancers.followed_load import FollowedLoad
from meshproxy.balancers.load_band import LoadBand
from meshproxy.config.bases import BalancerConfig
from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.errors import NoHosts
from meshproxy.metrics.tree import Tree
from meshproxy.net.wheel import wheel
from tests.kit.clock import FakeClock
from tests.kit.nodes import Node, draws, named, numbers

HOUR_S = 3600.0
"""So long after a change, the smoothed load is the load."""


class World:
    """A window over nodes whose lots are in the order of their names, and its clock."""

    def __init__(self, names: str = "abcd", minimum: int = 1) -> None:
        self.clock, self.tree = FakeClock(), Tree()
        self.nodes = named(names)
        self.units = [place / 100 for place in range(len(names))]
        band = LoadBand(0.5, 2.0, 5.0, minimum, self.clock.ns)
        self.balancer: Aperture[Node] = Aperture(self.tree, band, random=self._draw)
        self.balancer.update(self.nodes)

    def _draw(self) -> float:
        return self.units.pop(0) if self.units else 0.0

    @property
    def window(self) -> str:
        return "".join(node.name for node in self.balancer.candidates)

    def begin(self, node: Node) -> None:
        self.clock.advance(HOUR_S)
        node.load.begin()

    def finish(self, node: Node) -> None:
        self.clock.advance(HOUR_S)
        node.load.finish()

    def seen(self, *names: str) -> list[float]:
        found = numbers(self.tree)
        return [found[name] for name in names]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    wheel.forget(made.balancer)


def test_without_nodes_there_are_no_hosts(world: World) -> None:
    world.balancer.update([])
    with pytest.raises(NoHosts):
        world.balancer.pick()


def test_only_the_window_is_picked_from(world: World) -> None:
    assert world.window == "a"
    assert {world.balancer.pick().name for _ in range(20)} == {"a"}


def test_a_load_makes_it_wider_and_the_end_of_it_narrower(world: World) -> None:
    a, b = world.nodes[:2]
    world.begin(a)
    world.begin(a)
    assert world.window == "ab"
    assert world.balancer.pick() is b
    assert world.balancer.gauges() == {
        "logical_aperture": 2,
        "physical_aperture": 2,
        "loadband/offered_load_ema": 2.0,
    }
    world.finish(a)
    world.finish(a)
    assert world.window == "a"
    assert world.seen("loadband/widen", "loadband/narrow") == [1, 1]


def test_the_less_loaded_of_the_window_is_picked(world: World) -> None:
    a, b = world.nodes[:2]
    world.begin(a)
    world.begin(a)
    assert world.balancer.pick() is b
    with b.carrying(3):
        assert world.balancer.pick() is a


def test_the_order_is_by_lot(world: World) -> None:
    world.units = [0.9, 0.1]
    world.balancer.update(named("xy"))
    assert world.window == "y"


def test_other_endpoints_leave_lots_and_width_as_they_are(world: World) -> None:
    a, b, c, d = world.nodes
    world.begin(a)
    world.begin(a)
    world.units = [0.005]
    world.balancer.update([d, c, b, a, Node("n")])
    assert world.window == "an"
    world.balancer.update([d, c])
    assert world.window == "cd"
    assert world.balancer.gauges()["logical_aperture"] == 2


def test_requests_at_one_that_left_are_no_load_of_the_window(world: World) -> None:
    a, *others = world.nodes
    world.begin(a)
    world.balancer.update(others)
    world.begin(others[0])
    world.finish(a)
    assert world.balancer._band.total == 1
    world.balancer.update(world.nodes)
    assert world.balancer._band.total == 1


def test_one_that_is_down_leaves_the_window_and_comes_back(world: World) -> None:
    a, b = world.nodes[:2]
    a.is_open = False
    assert world.balancer.pick() is b
    assert world.seen("max_effort_exhausted", "rebuilds") == [1, 2]
    assert world.balancer.pick() is b
    a.is_open = True
    assert world.balancer.pick() is a
    assert world.seen("max_effort_exhausted", "rebuilds") == [1, 3]


def test_closed_ones_stand_behind_busy_ones(world: World) -> None:
    for node in world.nodes:
        node.is_open = False
    world.nodes[0].is_closed = True
    world.balancer.rebuild()
    assert world.balancer.pick() is world.nodes[1]


def test_with_every_node_down_the_window_is_used(world: World) -> None:
    for node in world.nodes:
        node.is_open = False
    assert world.balancer.pick() is world.nodes[0]


# --- sessions outside the window ---


def test_idle_connections_outside_are_closed_at_the_second_look(world: World) -> None:
    for node in world.nodes:
        node.idle = 2
    world.balancer.expire()
    assert [node.idle for node in world.nodes] == [2, 2, 2, 2]
    world.nodes[3].load.begin()
    world.balancer.expire()
    assert [node.idle for node in world.nodes] == [2, 0, 0, 2]
    assert world.seen("expired") == [2]
    world.balancer.expire()
    assert world.seen("expired") == [2]


def test_looks_go_on_while_there_is_anybody_outside(world: World) -> None:
    assert world.balancer.filed_until < math.inf
    world.balancer.expire()
    assert world.balancer.filed_until < math.inf
    world.balancer.update(world.nodes[:1])
    wheel.forget(world.balancer)
    world.balancer.expire()
    assert world.balancer.filed_until == math.inf


# --- configuration ---


def test_the_configuration_is_what_it_goes_by() -> None:
    tree = Tree()
    config = ApertureConfig(min_aperture=2, low_load=1.0, high_load=3.0)
    balancer = config.build(tree, draws(0.1, 0.2, 0.3, 0.0))
    nodes = named("abc")
    balancer.update(nodes)
    assert balancer.gauges()["physical_aperture"] == 2
    assert isinstance(config.new_load(), FollowedLoad)
    assert config.algorithm == "aperture_least_loaded"
    with nodes[0].carrying(5):
        assert balancer.gauges()["logical_aperture"] == 2
        assert balancer.pick() is nodes[1]
    wheel.forget(balancer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ("minAperture: 0", "f:2:14: minAperture: 0 is too small, at least 1"),
        ("smoothWindowMs: 0", "f:2:17: smoothWindowMs: 0 is too small, at least 1"),
        ("lowLoad: -0.5", "f:2:10: lowLoad: -0.5 is too small, at least 0"),
        ("lowLoad: 3.0", "f:2:1: lowLoad: 3 is not less than highLoad, 2"),
        ("highLoad: 0.5", "f:1:1: lowLoad: 0.5 is not less than highLoad, 0.5"),
        ("decayTimeMs: 5", "f:2:1: decayTimeMs: unknown key"),
    ],
)
def test_what_makes_no_sense_is_refused(keys: str, error: str) -> None:
    findings = Findings("f")
    text = f"kind: aperture\n{keys}\n"
    assert decode(BalancerConfig, parse(text, findings), findings) is None
    [found] = [str(one) for one in findings.found]
    assert found.startswith(error)
