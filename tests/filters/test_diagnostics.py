"""Requests that go so many hops and no further, and the report that a TRACE brings back."""

import re

import pytest

from meshproxy.errors import BadRequest, ConnectFailed
from meshproxy.filters.diagnostics import MAX_BODY, Diagnostics
from meshproxy.http.message import Request, Response
from meshproxy.naming.delegation import Hop
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path
from tests.kit.messages import Endless, Pieces, Replies, body_of, request, response

WEB, BOUND = Path.parse("/svc/web"), Path.parse("/#/io.l5d.fs/web")
REPORT = """--- Router: outgoing ---
request duration: N ms
service name: /svc/web
client name: /#/io.l5d.fs/web
addresses: [10.0.0.1:80, 10.0.0.2:80]
selected address: 10.0.0.2:80
dtab resolution:
  /svc/web
  /#/io.l5d.fs/web (/svc=>/#/io.l5d.fs)
"""
[ENTRY] = Dtab.parse("/svc => /#/io.l5d.fs")
ADD = (b"l5d-add-context", b"true")


def diagnose(asked: Request, service: Replies) -> Response:
    asked.dst = WEB
    diagnostics = Diagnostics(
        "outgoing",
        BOUND.show(),
        lambda _: (Hop(WEB, None), Hop(BOUND, ENTRY)),
    )
    return diagnostics(asked, service, "10.0.0.2:80", lambda: ["10.0.0.1:80", "10.0.0.2:80"])


def shown(answer: Response) -> str:
    """Return the body, any duration in it made N; it is as long as its head says."""
    body = body_of(answer)
    assert answer.headers.get_all(b"content-length") == [b"%d" % len(body)]
    return re.sub(r"duration: \d+ ms", "duration: N ms", body.decode())


def hops(value: bytes) -> tuple[bytes, bytes]:
    return (b"Max-Forwards", value)


def forwarded(service: Replies) -> list[list[bytes]]:
    """Return Max-Forwards of each request."""
    return [[one for one in lines if one.startswith(b"Max-F")] for lines in service.requests]


BOTH = pytest.mark.parametrize("method", [b"TRACE", b"OPTIONS"])


@BOTH
def test_the_last_hop_is_here(method: bytes) -> None:
    service = Replies(response())
    answer = diagnose(request(hops(b"0"), method=method), service)
    assert (answer.status, body_of(answer), service.requests) == (200, b"", [])
    assert answer.headers.get(b"content-length") == b"0"


@BOTH
@pytest.mark.parametrize(("came", "goes"), [(b"1", b"0"), (b"007", b"6"), (b"9" * 19, b"9" * 18)])
def test_each_hop_counts(method: bytes, came: bytes, goes: bytes) -> None:
    service = Replies(response(204))
    assert diagnose(request(hops(came), method=method), service).status == 204
    [[line]] = forwarded(service)
    assert line.startswith(b"Max-Forwards: " + goes)


@BOTH
def test_another_attempt_is_not_another_hop(method: bytes) -> None:
    asked, service = request(hops(b"7"), method=method), Replies(ConnectFailed("x"), response())
    with pytest.raises(ConnectFailed):
        diagnose(asked, service)
    diagnose(asked, service)
    assert forwarded(service) == [[b"Max-Forwards: 6"]] * 2


@BOTH
@pytest.mark.parametrize("value", [b"", b"-1", b"+1", b"1.5", b"many", b"1 2", b"9" * 20, b"\xb2"])
def test_what_is_no_number_is_refused(method: bytes, value: bytes) -> None:
    service = Replies(response())
    with pytest.raises(BadRequest, match=r"^Invalid value for Max-Forwards header$"):
        diagnose(request(hops(value), method=method), service)
    assert service.requests == []


@BOTH
def test_two_numbers_are_none(method: bytes) -> None:
    with pytest.raises(BadRequest):
        diagnose(request(hops(b"1"), hops(b"1"), method=method), Replies(response()))


@BOTH
def test_without_a_number_it_goes_all_the_way(method: bytes) -> None:
    service = Replies(response())
    diagnose(request(method=method), service)
    assert forwarded(service) == [[]]


# --- the report ---


def test_a_trace_that_ends_here_reports_how_it_would_have_gone_on() -> None:
    answer = diagnose(request(hops(b"0"), ADD, method=b"TRACE"), Replies(response()))
    assert shown(answer) == "\n\n" + REPORT


@pytest.mark.parametrize("fields", [[], [hops(b"3")]])
def test_a_trace_that_went_on_reports_behind_the_answer(fields: list[tuple[bytes, bytes]]) -> None:
    sent = response(200, (b"Content-Length", b"8"), body=b" there \n")
    answer = diagnose(request(*fields, ADD, method=b"TRACE"), Replies(sent))
    assert shown(answer) == "there\n\n" + REPORT


@pytest.mark.parametrize("yes", [b"true", b"TRUE", b"t", b"1", b"yes", b"Y"])
def test_a_report_is_asked_for_by_yes(yes: bytes) -> None:
    answer = diagnose(request((ADD[0], yes), method=b"TRACE"), Replies(response()))
    assert shown(answer).endswith(REPORT)


@pytest.mark.parametrize(
    ("method", "value"), [(b"TRACE", b"false"), (b"TRACE", b""), (b"OPTIONS", b"true")]
)
def test_nothing_else_is_a_wish_for_one(method: bytes, value: bytes) -> None:
    answer = diagnose(request((ADD[0], value), method=method), Replies(response(body=b"x")))
    assert body_of(answer) == b"x"


def test_a_short_body_is_read_to_its_end() -> None:
    sent = response(200, (b"Content-Length", b"4"))
    sent.body = Pieces(b"ab", b"cd")
    assert shown(diagnose(request(ADD, method=b"TRACE"), Replies(sent))) == "abcd\n\n" + REPORT


@pytest.mark.parametrize("length", [None, MAX_BODY + 1])
def test_a_body_of_another_kind_makes_place_for_a_note(length: int | None) -> None:
    endless = Endless()
    endless.length = length
    sent = Response(200, b"Fine", response(200, (b"X", b"1")).headers, endless)
    text = shown(diagnose(request(ADD, method=b"TRACE"), Replies(sent)))
    assert text.startswith("X: 1\nHTTP 200 - Fine\n")
    assert text.endswith("\n\n" + REPORT)
    assert endless.is_closed


def test_text_is_not_put_behind_compressed_data() -> None:
    sent = response(200, (b"Content-Encoding", b"gzip"), body=b"\x1f\x8b")
    answer = diagnose(request(ADD, method=b"TRACE"), Replies(sent))
    assert b"content-encoding" not in answer.headers
    assert "\x1f" not in shown(answer)


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_without_a_body_stays_without(status: int) -> None:
    answer = diagnose(request(ADD, method=b"TRACE"), Replies(response(status)))
    assert (body_of(answer), answer.headers.names) == (b"", [])
