"""The loop of draws: how often, what for, and what is used when nothing is open."""

from collections.abc import Sequence

import pytest

from meshproxy.balancers.balancer import Selection, SelectionConfig
from meshproxy.ewma import LeastLoaded
from meshproxy.metrics.tree import Tree
from tests.kit.nodes import Node, named, numbers


class InOrder(Selection[Node]):
    """Draws the candidates one after the other, and begins anew at each rebuild."""

    def _arranged(self) -> Sequence[Node]:
        self.drawn = 0
        return sorted(self.nodes, key=lambda node: node.name)

    def _draw(self) -> Node:
        self.drawn += 1
        return self.candidates[self.drawn - 1]


def selection(states: str, max_effort: int = 5) -> tuple[InOrder, Tree]:
    """Make nodes named after their places, up where *states* has `+`."""
    tree = Tree()
    made = InOrder(tree, max_effort)
    made.update([Node(str(place), is_open=state == "+") for place, state in enumerate(states)])
    return made, tree


@pytest.mark.parametrize(
    ("states", "picked", "drawn"),
    [("+-", "0", 1), ("-+", "1", 2), ("---+", "3", 4), ("----+", "4", 5)],
)
def test_the_first_draw_that_is_open_is_used(states: str, picked: str, drawn: int) -> None:
    made, tree = selection(states)
    assert made.pick().name == picked
    assert made.drawn == drawn
    assert numbers(tree) == {"max_effort_exhausted": 0, "rebuilds": 1}


@pytest.mark.parametrize("max_effort", [0, 1, 3])
def test_after_every_effort_it_is_rebuilt_and_fails_open(max_effort: int) -> None:
    made, tree = selection("---+", max_effort)
    assert made.pick().name == "0"
    assert made.drawn == 1
    assert numbers(tree) == {"max_effort_exhausted": 1, "rebuilds": 2}


def test_only_the_present_set_is_drawn_from() -> None:
    made, _ = selection("+")
    [new] = named("n")
    made.update([new])
    assert made.nodes == (new,)
    assert made.pick() is new


def test_no_kind_shows_more_by_itself() -> None:
    assert selection("+")[0].gauges() == {}


def test_loads_count_requests_unless_a_kind_says_otherwise() -> None:
    assert type(SelectionConfig().new_load()) is LeastLoaded
    assert SelectionConfig().max_effort == 5
