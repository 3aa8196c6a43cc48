"""What a client counts by logical name and by endpoint, and for how long it keeps that."""

import pytest

from meshproxy.errors import LoopDetected, NoHosts
from meshproxy.filters.client_stats import ClientStats, OutcomesByName
from meshproxy.metrics.tree import MAX_CHILDREN, Tree
from tests.kit.messages import Replies, request, response
from tests.kit.outcomes import asking, coming, failed, shown


def test_a_client_counts_apart_for_each_name_that_uses_it() -> None:
    tree = Tree()
    stats = ClientStats(tree)
    for name in ("/svc/a", "/svc/a", "/svc/b"):
        stats(asking(name), Replies(response()))
    with pytest.raises(NoHosts):
        stats(asking("/svc/b"), Replies(NoHosts("x")))
    expected = {
        "requests": 4,
        "service/svc/a/requests": 2,
        "service/svc/b/requests": 2,
        "service/svc/b/failures/no_hosts": 1,
        "service/svc/a/pending": 0,
        "service/svc/a/request_latency_ms": 2,
    }
    assert expected.items() <= shown(tree).items()


def test_names_without_end_share_what_is_left() -> None:
    tree = Tree()
    stats = ClientStats(tree)
    for number in range(MAX_CHILDREN + 5):
        stats(asking(f"/svc/{number}"), Replies(response()))
    assert len(tree.scope("service").scopes) == MAX_CHILDREN + 1
    assert shown(tree)["service/other/requests"] == 5


def test_names_that_were_not_used_since_the_last_sweep_are_forgotten() -> None:
    tree = Tree()
    stats = ClientStats(tree)
    stats(asking("/svc/once"), Replies(response()))
    stats(asking("/svc/again"), Replies(response()))
    coming_in, ending = coming(breaks=False)
    stats(asking("/svc/slow"), Replies(coming_in))
    stats.sweep()
    stats(asking("/svc/again"), Replies(response()))
    stats.sweep()
    assert list(tree.scope("service").scopes) == ["svc/again", "svc/slow"]
    ending.come(broken=False)
    for _ in range(2):
        stats.sweep()
    assert list(tree.scope("service").scopes) == []
    assert shown(tree)["requests"] == 4


def test_after_a_sweep_there_is_room_for_other_names() -> None:
    tree = Tree()
    stats = ClientStats(tree)
    for number in range(MAX_CHILDREN + 1):
        stats(asking(f"/svc/{number}"), Replies(response()))
    for _ in range(2):
        stats.sweep()
    stats(asking("/svc/new"), Replies(response()))
    assert list(tree.scope("service").scopes) == ["other", "svc/new"]


def test_outcomes_by_name_are_forgotten_when_unused_and_all_at_the_end() -> None:
    tree = Tree()
    by_endpoint = OutcomesByName(tree.scope("endpoint"), str)
    for name in ("a:80", "b:80"):
        by_endpoint[name](request(), Replies(response()))
    by_endpoint.sweep()
    by_endpoint["b:80"](request(), Replies(failed(503)))
    by_endpoint.sweep()
    assert list(tree.scope("endpoint").scopes) == ["b:80"]
    assert {"endpoint/b:80/requests": 2, "endpoint/b:80/failures": 1}.items() <= shown(tree).items()
    by_endpoint.close()
    assert list(tree.scope("endpoint").scopes) == []


def test_a_loop_is_no_attempt() -> None:
    tree = Tree()
    with pytest.raises(LoopDetected):
        ClientStats(tree)(asking(), Replies(LoopDetected("x")))
    expected = {"requests": 0, "pending": 0, "failures": 0, "service/svc/web/pending": 0}
    assert expected.items() <= shown(tree).items()


def test_a_loop_is_a_stream_that_failed() -> None:
    tree = Tree()
    with pytest.raises(LoopDetected):
        ClientStats(tree, streams=True)(asking(), Replies(LoopDetected("x")))
    assert {"stream/failures/loop": 1, "pending": 0}.items() <= shown(tree).items()


def test_a_failure_counts_for_its_name_too() -> None:
    tree = Tree()
    ClientStats(tree)(asking(), Replies(failed(500)))
    assert {"failures": 1, "service/svc/web/failures": 1}.items() <= shown(tree).items()
