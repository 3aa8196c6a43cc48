"""Streams, their bytes and how they end."""

import pytest

from meshproxy.errors import NoHosts
from meshproxy.filters.stats import PathStats
from meshproxy.http.message import Response
from meshproxy.metrics.tree import Tree
from tests.kit.messages import Pieces, Replies
from tests.kit.streams import Streaming, call, stream_response

KINDS = [("stream",), ("request", "stream"), ("response", "stream")]


class Sent(Pieces):
    """A request body of three bytes, all of which have come."""

    received = 3


def counts(metrics: Tree, *scope: str) -> tuple[int, int, float]:
    """Return successes, failures and bytes of one kind of streams."""
    kind = metrics.scope(*scope)
    size = kind.stat("data_bytes").snapshot()
    return kind.counter("stream_success").value, kind.counter("stream_failures").value, size.sum


def serve(metrics: Tree, reply: Response | Exception, body: Pieces | None = None) -> Response:
    """Serve as the callers of a name see it, with their streams."""
    return PathStats(metrics, streams=True)(call(body=body), Replies(reply))


def test_a_response_that_came_whole_is_recorded_at_once() -> None:
    metrics = Tree()
    serve(metrics, stream_response(b"four"), Sent(b"abc"))
    assert [counts(metrics, *kind) for kind in KINDS] == [(1, 0, 7), (1, 0, 3), (1, 0, 4)]
    assert metrics.stat("stream", "total_latency_ms").snapshot().count == 1
    for kind in KINDS[1:]:
        assert metrics.stat(*kind, "stream_duration_ms").snapshot().count == 1


def test_a_request_without_a_body_is_no_stream_of_its_own() -> None:
    metrics = Tree()
    serve(metrics, stream_response(b""))
    assert [counts(metrics, *kind) for kind in KINDS] == [(1, 0, 0), (0, 0, 0), (1, 0, 0)]


def test_a_stream_is_recorded_at_its_end() -> None:
    metrics, body = Tree(), Streaming(b"first")
    serve(metrics, stream_response(body))
    assert counts(metrics, "stream") == (0, 0, 0)
    body.received = 9
    body.end()
    assert counts(metrics, "stream") == counts(metrics, "response", "stream") == (1, 0, 9)


def test_a_broken_stream_is_a_failure_with_its_cause() -> None:
    metrics, body = Tree(), Streaming(b"first")
    serve(metrics, stream_response(body), Sent(b"abc"))
    body.end(broken=True)
    assert [counts(metrics, *kind)[:2] for kind in KINDS] == [(0, 1)] * 3
    assert metrics.counter("response", "stream", "failures", "cut").value == 1


def test_a_request_whose_rest_nobody_wanted_is_incomplete() -> None:
    metrics, body = Tree(), Sent(b"abc")
    body.is_complete = False
    serve(metrics, stream_response(b""), body)
    assert metrics.counter("request", "stream", "failures", "incomplete").value == 1
    assert counts(metrics, "stream")[:2] == (1, 0)


def test_an_error_is_a_failure_of_both() -> None:
    metrics = Tree()
    with pytest.raises(NoHosts):
        serve(metrics, NoHosts("x"), Sent(b"abc"))
    assert [counts(metrics, *kind)[:2] for kind in KINDS] == [(0, 1)] * 3
    assert metrics.counter("stream", "failures", "no_hosts").value == 1
