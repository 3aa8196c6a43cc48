"""Bodies that are still arriving, opened and closed in both directions of a server."""

import pytest

from meshproxy.errors import ConnectFailed
from meshproxy.filters.stats import ServerStats
from meshproxy.http.ending import Ending
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from tests.kit.messages import Pieces, Replies, request, response


def streams(tree: Tree, direction: str) -> list[float]:
    """Return how many bodies were opened, closed, are pending, and were timed."""
    scope = tree.scope("stream", direction)
    return [
        scope.counter("opened").value,
        scope.counter("closed").value,
        scope.gauge("pending").read(),
        scope.stat("duration_ms").read().count,
    ]


def test_bodies_that_are_still_coming_are_streams() -> None:
    tree = Tree()
    stats = ServerStats(tree, RecentRequests())
    answer, its_end = response(), Ending()
    answer.ending = its_end
    stats(request(body=Pieces(b"whole")), Replies(response(body=b"whole")))
    assert (streams(tree, "request"), streams(tree, "response")) == ([0] * 4, [0] * 4)
    stats(request(body=Pieces(b"x", is_complete=False)), Replies(answer))
    assert (streams(tree, "request"), streams(tree, "response")) == ([1, 1, 0, 1], [1, 0, 1, 0])
    its_end.come(broken=True)
    assert streams(tree, "response") == [1, 1, 0, 1]


def test_a_request_that_streams_is_over_when_it_fails() -> None:
    tree = Tree()
    inside: list[list[float]] = []

    def fail(_: Request) -> Response:
        inside.append(streams(tree, "request"))
        raise ConnectFailed("x")

    with pytest.raises(ConnectFailed):
        ServerStats(tree, RecentRequests())(request(body=Pieces(b"x", is_complete=False)), fail)
    assert inside == [[1, 0, 1, 0]]
    assert streams(tree, "request") == [1, 1, 0, 1]
