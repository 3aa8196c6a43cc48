"""What is kept of a finished request."""

import json

import pytest

from meshproxy.http.headers import of
from meshproxy.http.message import Request
from meshproxy.http.phases import BIND, TLS, Attempt, spend
from meshproxy.http.propagation import L5d
from meshproxy.http.trace import UNSAMPLED, Trace
from meshproxy.http.trace_id import TraceId
from meshproxy.naming.path import Path
from meshproxy.recent.request import MAX_TEXT, Ended, RecentRequest, trace_of
from tests.kit.messages import request
from tests.kit.recent import ended


def kept(asked: Request, latency_ms: float = 10.0, body_ms: float = 0.0) -> RecentRequest:
    return Ended("http", "ip/1", asked, 200, "", "", latency_ms, body_ms, 100.0).show()


def test_a_request_is_kept_without_its_query_and_cut_to_a_bound() -> None:
    asked = Request(b"GET", b"/a?token=secret", b"1.1", of((b"Host", b"web")))
    asked.dst, asked.bound_id = Path.parse(r"/svc/\x61\x20\x62"), Path.of("$", "inet", "h", "1")
    asked.endpoint = "10.0.0.1:80"
    one = kept(asked)
    assert (one.method, one.host, one.path) == ("GET", "web", "/a")
    assert (one.logical, one.bound, one.endpoint) == (
        r"/svc/\x61\x20\x62",
        "/$/inet/h/1",
        "10.0.0.1:80",
    )
    assert "secret" not in str(one)
    assert len(kept(Request(b"GET", b"/" * 5000, b"1.1", of())).path) == MAX_TEXT


def test_of_a_long_text_the_beginning_and_the_end_are_kept() -> None:
    why = "begin" + 9000 * "x" + "end"
    ended_so = Ended("http", "ip/1", request(), 502, "no_hosts", why, 1.0, 0.0, 100.0)
    kept_of = ended_so.show().why
    assert MAX_TEXT - 2 <= len(kept_of) <= MAX_TEXT
    assert (kept_of[:5], kept_of[-3:]) == ("begin", "end")


def test_what_a_request_waited_for_adds_up_to_its_time() -> None:
    asked = request()
    spend(asked, BIND, 0.002)
    spend(asked, TLS, 0.003)
    shown = kept(asked, latency_ms=10.0, body_ms=4.0).describe()
    assert shown["phases"] == {"bind": 2.0, "tls": 3.0, "wait": 5.0, "body": 4.0}
    assert sum(shown["phases"].values()) == shown["ms"] == 14.0


def test_each_attempt_is_a_lane() -> None:
    asked = request()
    asked.endpoint = "b:1"
    started = 100.0 - 0.010
    bound = Path.of("c")
    asked.earlier = (Attempt(bound, "a:1", "connect", started + 0.002, started + 0.004),)
    shown = kept(asked).describe()
    assert shown["attempts"] == 2
    assert shown["lanes"] == [
        {"bound": "/c", "endpoint": "a:1", "result": "connect", "from_ms": 0.0, "to_ms": 2.0},
        {"bound": None, "endpoint": "b:1", "result": "200", "from_ms": 4.0, "to_ms": 10.0},
    ]


def test_the_trace_is_that_of_the_request_or_what_the_attempt_began() -> None:
    asked = request()
    assert trace_of(asked) == ""
    assert kept(asked).trace == ""
    asked.headers.add(b"l5d-reqid", b"00000000000000ab")
    assert trace_of(asked) == kept(asked).trace == "00000000000000ab"
    asked.trace = UNSAMPLED
    assert trace_of(asked) == kept(asked).trace == "00000000000000ab"
    asked.trace = Trace(TraceId(1, 2, 0xCD), L5d())
    assert trace_of(asked) == kept(asked).trace == "00000000000000cd"
    asked.trace = Trace(TraceId(1, 2, 0xCD, 0, 0xEF), L5d())
    assert trace_of(asked) == "00000000000000ef00000000000000cd"


def test_a_request_crosses_to_another_process_whole() -> None:
    for one in (ended(phases={"bind": 1.5}, earlier=[["/c", "a:1", "503", 1.0, 2.0]]), ended()):
        assert RecentRequest.of_plain(json.loads(json.dumps(list(one)))) == one


@pytest.mark.parametrize(
    "plain", [[], list(ended())[:-1], list(ended(latency_ms="1")), list(ended(phases=[]))]
)
def test_what_is_no_request_is_refused(plain: list[object]) -> None:
    with pytest.raises(ValueError, match="not a finished request"):
        RecentRequest.of_plain(plain)
