"""What a line of the access log says, and when it is written."""

import contextlib
import json
from typing import Any

import pytest

from meshproxy.errors import BadRequest, ClientGone, ConnectFailed, ConnectionClosed
from meshproxy.filters.access_log import AccessLog
from meshproxy.filters.access_log_lines import LogEntry, combined, json_line
from meshproxy.h2.reset import StreamReset
from meshproxy.http.errors import error_response
from meshproxy.http.headers import of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.naming.path import Path
from meshproxy.net.h2.whole import Whole
from tests.kit.asked import Peer
from tests.kit.messages import Arriving, Endless, Replies, body_of, request, response
from tests.kit.streams import Streaming, stream_response


class Log:
    """The filter with a clock that stands, and what it wrote."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.at = 50.0
        self.filter = AccessLog(
            self._take, self._keep, self._names, lambda: self.at, lambda: 1.7e9 + self.at
        )

    def _names(self, request: Request) -> tuple[str, ...]:
        return (request.dst.show(),) if request.dst else ()

    def _keep(self, *facts: Any) -> bytes:
        self.entries.append(LogEntry(*facts))
        return b"line"

    def _take(self, line: bytes) -> None:
        assert line == b"line"


def streamed(*pieces: bytes | Exception) -> Response:
    return Response(200, b"OK", of(), Arriving(*pieces))


# --- when ---


def test_a_response_at_hand_is_logged_at_once() -> None:
    log = Log()
    log.filter(request((b"User-Agent", b"ua"), (b"Referer", b"r")), Replies(response(body=b"abc")))
    (line,) = log.entries
    assert (line.status, line.sent, line.is_whole) == (200, 3, True)
    assert line.asked == (b"/", b"Host: web", b"Referer: r", b"User-Agent: ua")


def test_a_stream_is_logged_when_it_has_ended() -> None:
    log = Log()
    answer = log.filter(request(), Replies(streamed(b"abc", b"de")))
    assert log.entries == []
    log.at += 2
    assert body_of(answer) == b"abcde"
    (line,) = log.entries
    assert (line.sent, line.is_whole, line.duration) == (5, True, 2.0)
    assert line.ended_at == 1.7e9 + 52
    answer.close()
    assert len(log.entries) == 1


def test_a_stream_that_is_cut_says_so() -> None:
    log = Log()
    answer = log.filter(request(), Replies(streamed(b"abc", ConnectionClosed("lost"))))
    with pytest.raises(ConnectionClosed):
        body_of(answer)
    answer.close()
    (line,) = log.entries
    assert (line.sent, line.is_whole) == (3, False)


def test_what_a_client_did_not_wait_for_does_not_count() -> None:
    log = Log()
    body = Endless()
    answer = log.filter(request(), Replies(Response(200, b"", of(), body)))
    assert not isinstance(answer.body, bytes)
    answer.body.read()
    answer.body.read()
    answer.close()
    (line,) = log.entries
    assert (line.sent, line.is_whole) == (4, False)
    assert body.is_closed


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 304), (b"GET", 204)])
def test_what_has_no_body_sends_no_bytes(method: bytes, status: int) -> None:
    log = Log()
    asked = request(method=method)
    log.filter(asked, Replies(response(status, (b"Content-Length", b"9"), body=b"unsent")))
    (line,) = log.entries
    assert (line.sent, line.is_whole) == (0, True)


def test_what_the_request_became_on_its_way() -> None:
    log = Log()

    def service(asked: Request) -> Response:
        asked.target = b"/rewritten"
        asked.headers.remove(b"host")
        asked.dst, asked.bound_id = Path.parse("/svc/web"), Path.parse("/#/fs/web")
        asked.endpoint, asked.retries = "127.0.0.1:80", 2
        return response()

    log.filter(request(), service)
    (line,) = log.entries
    assert line.asked[:2] == (b"/", b"Host: web")
    shown = json.loads(json_line(*line))
    assert (shown["service"], shown["client"]) == ("/svc/web", "/#/fs/web")
    assert (shown["upstream"], shown["retries"]) == ("127.0.0.1:80", 2)


def test_an_error_of_the_proxy_has_its_short_name_and_its_text() -> None:
    log = Log()
    log.filter(request(), Replies(error_response(ConnectFailed("no way\nout"), Limits())))
    (line,) = log.entries
    assert (line.status, line.code, line.reason) == (502, ConnectFailed.reason, "no way\nout")


def test_an_error_of_another_proxy_has_its_text() -> None:
    log = Log()
    log.filter(request(), Replies(response(502, (b"l5d-err", b"no+way%0Aout"))))
    (line,) = log.entries
    assert (line.code, line.reason) == ("", "no way\nout")


@pytest.mark.parametrize(
    ("error", "status", "name"), [(ClientGone("x"), 400, "client_gone"), (KeyError("x"), None, "")]
)
def test_a_request_without_a_response_is_logged_too(
    error: Exception, status: int | None, name: str
) -> None:
    log = Log()
    with pytest.raises(type(error)):
        log.filter(request(), Replies(error))
    (line,) = log.entries
    assert (line.status, line.code, line.is_whole) == (status, name, False)


def test_the_peer_is_known() -> None:
    log = Log()
    asked = request()
    asked.peer = Peer()
    log.filter(asked, Replies(response()))
    assert log.entries[0].remote == "192.0.2.1:5000"


def test_a_stream_is_logged_at_its_end_and_not_read_through_the_filter() -> None:
    for broken in (False, True):
        log, body = Log(), Streaming(b"data")
        answer = log.filter(request(version=b"2"), Replies(stream_response(body)))
        assert answer.body is body
        assert log.entries == []
        log.at, body.received = 51.0, 9
        body.end(broken=broken)
        (entry,) = log.entries
        assert (entry.sent, entry.is_whole, entry.duration) == (9, not broken, 1.0)


def test_a_stream_that_came_whole_is_logged_at_once_and_left_alone() -> None:
    log, body = Log(), Whole(b"data", None, trailers=of((b"grpc-status", b"0")))
    answer = response()
    answer.body = body
    assert log.filter(request(version=b"2"), Replies(answer)).body is body
    (entry,) = log.entries
    assert (entry.sent, entry.is_whole) == (4, True)


def test_a_stream_that_is_reset_is_logged_without_a_status() -> None:
    log = Log()
    with pytest.raises(StreamReset):
        log.filter(request(version=b"2"), Replies(StreamReset("the endpoint reset it")))
    (entry,) = log.entries
    assert (entry.status, entry.code, entry.reason) == (None, "reset", "the endpoint reset it")
    assert b" - 0 " in combined(*entry)


# --- why it failed, and where the time went ---


def test_a_line_has_the_names_the_trace_and_the_times() -> None:
    log = Log()
    asked = request()
    asked.dst = Path.parse("/svc/web")
    asked.headers.add(b"l5d-reqid", b"00000000000000ab")
    asked.phases = {"bind": 0.25}
    log.filter(asked, Replies(response()))
    (one,) = log.entries
    shown = json.loads(json_line(*one))
    assert (shown["names"], shown["trace"]) == (["/svc/web"], "00000000000000ab")
    assert shown["phases_ms"]["bind"] == 250.0


def unsuccessful(answer: Response) -> Response:
    answer.failed = True
    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (response(200), ""),
        (response(404), ""),
        (unsuccessful(response(503)), "endpoint"),
        (error_response(ConnectFailed("refused"), Limits()), "connect"),
        (unsuccessful(streamed(ConnectionClosed("cut"))), "cut"),
        (streamed(ClientGone("left")), "client_gone"),
    ],
)
def test_a_failure_has_a_reason_code(answer: Response, reason: str) -> None:
    log = Log()
    found = log.filter(request(), Replies(answer))
    with contextlib.suppress(ConnectionClosed, ClientGone):
        body_of(found)
    (one,) = log.entries
    assert one.failure == reason


@pytest.mark.parametrize("broken", [True, False])
def test_a_stream_that_has_ended_while_it_was_held_is_logged_at_once(broken: bool) -> None:
    log, body = Log(), Streaming(b"data")
    body.end(broken=broken)
    log.filter(request(version=b"2"), Replies(stream_response(body)))
    (entry,) = log.entries
    assert (entry.sent, entry.is_whole) == (4, not broken)


def test_a_stream_that_the_client_gave_up_is_not_whole() -> None:
    log, body = Log(), Streaming(b"data")
    log.filter(request(version=b"2"), Replies(stream_response(body)))
    body.give_up()
    assert not log.entries[0].is_whole


# --- what never became a request ---


def test_what_was_refused_is_logged_with_what_is_known() -> None:
    log = Log()
    refused = Request(b"GET", b"/a b", b"1.1", of())
    refused.peer = Peer()
    log.filter.refused(refused, error_response(BadRequest("two spaces"), Limits()))
    (line,) = log.entries
    assert (line.status, line.code, line.remote) == (400, "bad_request", "192.0.2.1:5000")
    assert b'"GET /a b HTTP/1.1" 400 ' in combined(*line)
    assert (line.sent, line.is_whole) == (len("two spaces"), True)


def test_of_what_was_refused_little_is_logged() -> None:
    log = Log()
    response = error_response(BadRequest("x"), Limits())
    log.filter.refused(Request(b"\x00" * 9000, b"\x01" * 9000, b"1.1", of()), response)
    log.filter.refused(Request(b"", b"", b"1.1", of()), response)
    long, empty = (combined(*line) for line in log.entries)
    assert len(long) < 9000
    assert b'"- - HTTP/1.1" 400 ' in empty


def test_a_form_that_shows_no_times_does_not_ask_for_them() -> None:
    def clock() -> float:
        raise AssertionError

    lines: list[bytes] = []
    AccessLog(lines.append, combined, monotonic=clock)(request(), Replies(response(body=b"abc")))
    assert b" 200 3 " in lines[0]
