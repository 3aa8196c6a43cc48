"""Outcomes and statuses of one scope."""

from functools import partial
from time import monotonic

import pytest

from meshproxy.filters.outcomes import CLASSIFIED, Outcomes, Statuses
from meshproxy.metrics.tree import Tree
from tests.kit.messages import request
from tests.kit.outcomes import coming, shown


def test_what_has_begun_and_not_ended_is_pending() -> None:
    tree = Tree()
    outcomes = Outcomes(tree)
    outcomes.begun.value += 3
    outcomes.success.add(1)
    outcomes.failed("no_hosts", 2.0)
    expected = {"requests": 2, "pending": 1, "failures": 1, "failures/no_hosts": 1}
    assert expected.items() <= shown(tree).items()


@pytest.mark.parametrize(
    ("breaks", "broken", "name"),
    [
        (False, False, "success"),
        (True, False, f"failures/{CLASSIFIED}"),
        (True, True, "failures/cut"),
    ],
)
def test_the_end_of_a_body_decides(breaks: bool, broken: bool, name: str) -> None:
    tree = Tree()
    response, ending = coming(breaks=breaks)
    outcomes = Outcomes(tree)
    ending.then(partial(outcomes.ended, request(), response, b"", monotonic(), 5.0))
    assert shown(tree)["request_latency_ms"] == 0
    ending.come(broken)
    expected = {name: 1, "requests": 1, "request_latency_ms": 1}
    assert expected.items() <= shown(tree).items()


def test_a_status_counts_in_its_class_and_an_error_in_none() -> None:
    tree = Tree()
    statuses = Statuses(tree)
    for status in (200, 204, 204):
        statuses[status].add(1.0)
    statuses.failed(1.0)
    expected = {"status/200": 1, "status/204": 2, "status/2XX": 3, "status/error": 1, "time/2XX": 3}
    assert expected.items() <= shown(tree).items()


def test_statuses_of_heads_and_of_whole_responses_add_up() -> None:
    tree = Tree()
    outcomes = Outcomes(tree)
    heads, whole = Statuses(tree), Statuses(tree, outcomes)
    for statuses in (heads, whole, whole):
        statuses[204].add(5.0)
    counted = {name: count for name, count in shown(tree).items() if count}
    assert counted == {
        "status/204": 3,
        "status/2XX": 3,
        "time/2XX": 3,
        "success": 2,
        "requests": 2,
        "request_latency_ms": 2,
        "pending": -2,
    }
