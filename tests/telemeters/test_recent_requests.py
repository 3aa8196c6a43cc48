import json

import pytest

from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from meshproxy.telemeters.recent_requests import (
    RecentRequest,
    RecentRequests,
    RecentRequestsConfig,
    table,
)
from meshproxy.telemeters.telemeter import TelemeterDeps


def request(**known: object) -> RecentRequest:
    facts: dict[str, object] = {
        "ended_at": 0.25,
        "source": "10.0.0.1:5000",
        "server": "0.0.0.0:4140",
        "router": "outgoing",
    }
    return RecentRequest(**{**facts, **known})  # type: ignore[arg-type]


def test_a_row_shows_everything_known() -> None:
    page = table(
        [
            request(
                logical=Path.of("svc", "web"),
                concrete=Path.of("#", "io.l5d.fs", "web"),
                destination="127.0.0.1:80",
                status=200,
                latency_ms=1.26,
                egress="allow by git, for 10.0.0.1",
            )
        ]
    )
    cells = (
        "1970-01-01 00:00:00.250+00:00",
        "10.0.0.1:5000",
        "0.0.0.0:4140",
        "outgoing",
        "/svc/web",
        "/#/io.l5d.fs/web",
        "127.0.0.1:80",
        "200",
        "1.3",
        "allow by git, for 10.0.0.1",
    )
    assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" in page


def test_the_head_names_linkerds_columns_and_ours() -> None:
    head = table([]).partition("<tr>")[2].partition("</tr>")[0]
    assert head.replace("</th>", "").split("<th>")[1:] == [
        "Timestamp",
        "Source",
        "Server",
        "Router",
        "Logical Name",
        "Concrete Name",
        "Destination",
        "Status",
        "Latency (ms)",
        "Egress",
    ]


def test_what_is_unknown_stays_empty() -> None:
    assert table([request()]).count("<td></td>") == 6


def test_values_are_escaped() -> None:
    page = table([request(source='<script>"&')])
    assert "<td>&lt;script&gt;&quot;&amp;</td>" in page
    assert "<script>" not in page


def test_the_ring_keeps_the_newest_and_shows_them_first() -> None:
    telemeter = RecentRequestsConfig(sample_rate=1.0, capacity=2).build(TelemeterDeps(Tree()))
    telemeter.start()
    for name in ("/svc/a", "/svc/b", "/svc/c"):
        telemeter.record(request(logical=Path.parse(name)))
    ((path, page),) = telemeter.pages().items()
    body = page("").body.decode()
    telemeter.close()
    assert path == "/requests"
    assert "/svc/a" not in body
    assert body.index("/svc/c") < body.index("/svc/b")


@pytest.mark.parametrize(
    ("rate", "draw", "recorded"),
    [(0.25, 0.0, 1), (0.25, 0.24, 1), (0.25, 0.25, 0), (1.0, 0.999999, 1), (0.0, 0.0, 0)],
)
def test_a_draw_below_the_rate_is_recorded(rate: float, draw: float, recorded: int) -> None:
    telemeter = RecentRequests(RecentRequestsConfig(sample_rate=rate), lambda: draw)
    (record,) = telemeter.filters("outgoing", "0.0.0.0/4140")
    record(Request(b"GET", b"/", b"1.1", Headers()), lambda _: Response(204, b"", Headers()))
    assert len(telemeter.take()) == recorded


def test_the_filter_records_what_the_sample_wants() -> None:
    draws = iter([0.1, 0.9])
    telemeter = RecentRequests(RecentRequestsConfig(sample_rate=0.5), lambda: next(draws))
    (record,) = telemeter.filters("outgoing", "0.0.0.0/4140")

    def serve(request: Request) -> Response:
        request.dst = Path.parse("/svc/" + request.target.decode()[1:])
        return Response(204, b"No Content", Headers(), b"")

    for target in (b"/wanted", b"/unwanted"):
        assert record(Request(b"GET", target, b"1.1", Headers()), serve).status == 204
    page = telemeter.pages()["/requests"]("").body.decode()
    assert "<td>outgoing</td><td>/svc/wanted</td>" in page
    assert "<td>204</td>" in page
    assert "unwanted" not in page


def test_what_another_process_recorded_takes_its_place_by_time() -> None:
    here, there = (
        RecentRequests(RecentRequestsConfig(sample_rate=1.0, capacity=3)) for _ in range(2)
    )
    for telemeter, times in ((here, (1.0, 4.0)), (there, (2.0, 3.0))):
        for ended_at in times:
            telemeter.record(request(ended_at=ended_at))
    here.merge(there.take())
    assert there.take() == []
    assert [RecentRequest.of_plain(one).ended_at for one in here.take()] == [2.0, 3.0, 4.0]


def test_a_request_crosses_to_another_process_whole() -> None:
    whole = request(
        logical=Path.parse(r"/svc/a\x20b"), concrete=Path.of("$", "inet", "h", "1"), status=200
    )
    for one in (whole, request()):
        assert RecentRequest.of_plain(json.loads(json.dumps(one.plain()))) == one
