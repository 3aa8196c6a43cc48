"""What is counted, by the names that Linkerd gives it."""

from collections.abc import Callable
from time import monotonic

import pytest

from meshproxy.errors import ClientGone, ConnectFailed, Forbidden, NoHosts, ProxyError
from meshproxy.filters.client_stats import ClientStats
from meshproxy.filters.stats import PathStats, ServerStats
from meshproxy.http.ending import Ending
from meshproxy.http.errors import error_response
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.http.phases import Attempt
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from meshproxy.recent.wanted import Wanted
from meshproxy.service import Filter
from tests.kit.messages import Pieces, Replies, response
from tests.kit.outcomes import asking, coming, failed, shown
from tests.kit.streams import Streaming, stream_response

SYNTHETIC = "failures/com.twitter.finagle.service.ResponseClassificationSyntheticException"
Stats = Callable[[Tree], Filter[Request, Response]]


def of_server(metrics: Tree) -> ServerStats:
    """Return those of a server whose requests nobody looks at."""
    return ServerStats(metrics, RecentRequests())


ALL = [PathStats, of_server, ClientStats]


@pytest.mark.parametrize("stats", [PathStats, ClientStats])
def test_latency_ends_as_the_head_arrives(stats: Stats) -> None:
    tree, late = Tree(), response()

    def arriving(_: Request) -> Response:
        late.arrived = monotonic() + 5
        return late

    stats(tree)(asking(), arriving)
    assert tree.stat("request_latency_ms").snapshot().sum >= 5000


@pytest.mark.parametrize("stats", ALL)
def test_a_success(stats: Stats) -> None:
    tree = Tree()
    stats(tree)(asking(), Replies(response()))
    expected = {"requests": 1, "success": 1, "failures": 0, "pending": 0, "request_latency_ms": 1}
    assert expected.items() <= shown(tree).items()


@pytest.mark.parametrize("stats", ALL)
def test_a_response_that_is_a_failure(stats: Stats) -> None:
    tree = Tree()
    stats(tree)(asking(), Replies(failed(500)))
    expected = {"requests": 1, "success": 0, "failures": 1, SYNTHETIC: 1, "request_latency_ms": 1}
    assert expected.items() <= shown(tree).items()


@pytest.mark.parametrize("stats", ALL)
@pytest.mark.parametrize("error", [ConnectFailed("x"), NoHosts("x")])
def test_an_error_is_counted_by_its_reason(stats: Stats, error: ProxyError) -> None:
    tree = Tree()
    with pytest.raises(type(error)):
        stats(tree)(asking(), Replies(error))
    expected = {"requests": 1, "success": 0, "failures": 1, "pending": 0, "request_latency_ms": 1}
    assert expected.items() <= shown(tree).items()
    assert shown(tree)[f"failures/{error.reason}"] == 1


@pytest.mark.parametrize("stats", ALL)
def test_a_request_counts_when_it_ends_and_is_pending_until_then(stats: Stats) -> None:
    tree = Tree()

    def look(_: Request) -> Response:
        assert (shown(tree)["pending"], shown(tree)["requests"]) == (1, 0)
        return response()

    stats(tree)(asking(), look)
    assert shown(tree)["pending"] == 0


@pytest.mark.parametrize("stats", ALL)
def test_a_fault_of_ours_leaves_nothing_pending(stats: Stats) -> None:
    tree = Tree()
    with pytest.raises(ZeroDivisionError):
        stats(tree)(asking(), Replies(ZeroDivisionError()))
    assert shown(tree)["pending"] == 0


@pytest.mark.parametrize("stats", [of_server, ClientStats])
def test_statuses_are_counted_one_by_one_and_by_class(stats: Stats) -> None:
    tree = Tree()
    counted = stats(tree)
    for answer in (response(200), response(204), response(404), failed(503)):
        counted(asking(), Replies(answer))
    with pytest.raises(ConnectFailed):
        counted(asking(), Replies(ConnectFailed("x")))
    expected = {
        **{f"status/{status}": 1 for status in (200, 204, 404, 503, "error", "4XX", "5XX")},
        "status/2XX": 2,
        "time/2XX": 2,
        "time/4XX": 1,
        "time/5XX": 1,
        "time/error": 1,
    }
    assert expected.items() <= shown(tree).items()


def test_a_logical_name_has_no_statuses() -> None:
    tree = Tree()
    PathStats(tree)(asking(), Replies(response()))
    assert not any(name.startswith(("status", "time")) for name in shown(tree))


@pytest.mark.parametrize("stats", ALL)
def test_a_body_that_is_still_coming_settles_what_is_counted(stats: Stats) -> None:
    tree = Tree()
    filter_ = stats(tree)
    whole, its_end = coming(breaks=False)
    cut, its_cut = coming(breaks=True)
    for answer in (whole, cut):
        assert filter_(asking(), Replies(answer)) is answer
    before = shown(tree)
    assert (before["pending"], before["requests"]) == (2, 0)
    its_end.come(broken=False)
    its_cut.come(broken=True)
    after = shown(tree)
    expected = {"pending": 0, "requests": 2, "success": 1, "failures": 1, "failures/cut": 1}
    assert expected.items() <= after.items()


@pytest.mark.parametrize("stats", ALL)
def test_a_tunnel_counts_with_its_head(stats: Stats) -> None:
    tree = Tree()
    answer = response()
    answer.ending = Ending(is_settled=True)
    stats(tree)(asking(), Replies(answer))
    assert shown(tree)["success"] == 1


STREAMS = [
    pytest.param(lambda tree: PathStats(tree, streams=True), id="path"),
    pytest.param(lambda tree: ServerStats(tree, RecentRequests(), streams=True), id="server"),
    pytest.param(lambda tree: ClientStats(tree, streams=True), id="client"),
]


@pytest.mark.parametrize("stats", STREAMS)
def test_streams_are_counted_with_what_they_carry(stats: Stats) -> None:
    tree = Tree()
    filter_ = stats(tree)
    late, its_end = coming(breaks=False)
    for answer in (response(body=b"four"), failed(500), late):
        filter_(asking(), Replies(answer))
    with pytest.raises(NoHosts):
        filter_(asking(), Replies(NoHosts("x")))
    assert tree.counter("stream", "stream_success").value == 2
    its_end.come(broken=False)
    expected = {
        "requests": 4,
        "success": 2,
        "failures": 2,
        "request_latency_ms": 4,
        **{
            f"{kind}/{name}": count
            for kind in ("stream", "response/stream")
            for name, count in (("stream_success", 3), ("failures/no_hosts", 1), ("data_bytes", 4))
        },
        "stream/total_latency_ms": 4,
        "response/stream/stream_duration_ms": 4,
        "request/stream/stream_success": 0,
    }
    assert expected.items() <= shown(tree).items()


@pytest.mark.parametrize("stats", STREAMS)
def test_a_stream_is_counted_by_the_body_that_the_endpoint_sends(stats: Stats) -> None:
    tree, body = Tree(), Streaming(b"whole")
    answer = stats(tree)(asking(), Replies(stream_response(body)))
    answer.body = b"compressed further out"
    body.give_up()
    size = tree.stat("stream", "data_bytes").read()
    assert (tree.counter("stream", "failures", "cancelled").value, size.sum) == (1, 5)


@pytest.mark.parametrize("stats", [*ALL, *STREAMS])
def test_what_is_counted_goes_on_under_another_filter_of_the_same_scope(stats: Stats) -> None:
    tree = Tree()
    for _ in range(2):
        stats(tree)(asking(), Replies(response()))
    expected = {"requests": 2, "success": 2, "pending": 0, "request_latency_ms": 2}
    assert expected.items() <= shown(tree).items()


# --- the latest requests ---


def test_a_server_records_what_is_of_interest_and_asks_nothing_of_the_rest() -> None:
    recent = RecentRequests()
    recent.sample(0.0)
    stats = ServerStats(Tree(), recent, "http", "ip/1")
    stats(asking(), Replies(response()))
    retried = asking()
    retried.earlier = (Attempt(None, "10.0.0.1:80", "503", 0.0, 0.0),)
    stats(retried, Replies(response()))
    stats(asking(), Replies(failed(503)))
    stats(asking(), Replies(error_response(Forbidden("no"), Limits())))
    with pytest.raises(ClientGone):
        stats(asking(), Replies(ClientGone("left")))
    found = [(one.status, one.reason, one.router) for one in recent.latest(Wanted(), 9)]
    assert found == [
        (None, "client_gone", "http"),
        (403, "forbidden", "http"),
        (503, "endpoint", "http"),
        (200, "", "http"),
    ]


@pytest.mark.parametrize(
    ("broken", "is_complete", "reason"),
    [(True, False, "cut"), (False, False, "client_gone"), (False, True, "")],
)
def test_a_body_is_recorded_at_its_end(broken: bool, is_complete: bool, reason: str) -> None:
    recent = RecentRequests()
    answer = response()
    answer.body = Pieces(is_complete=is_complete)
    answer.ending = ending = Ending()
    ServerStats(Tree(), recent)(asking(), Replies(answer))
    assert recent.latest(Wanted(), 9) == []
    ending.come(broken)
    (one,) = recent.latest(Wanted(), 9)
    assert (one.reason, one.body_ms > 0) == (reason, True)
