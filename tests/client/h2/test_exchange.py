"""Requests and responses on streams, with an endpoint by PyPI's `h2`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

import gevent
import pytest
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    TrailersReceived,
)
from h2.events import StreamReset as ResetReceived
from h2.settings import SettingCodes

from meshproxy.client.h2.exchange import H2Exchange
from meshproxy.errors import (
    BadResponse,
    ClientGone,
    ConnectionClosed,
    ProxyError,
    ServiceTimedOut,
)
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import ClientReset, StreamRefused, StreamReset
from meshproxy.http.headers import of
from meshproxy.http.limits import Limits
from meshproxy.net.h2.inbound import Inbound
from meshproxy.net.h2.memory import memory
from meshproxy.net.h2.outbound import Outbound
from meshproxy.net.h2.whole import Whole
from tests.kit.h2_endpoint import H2Endpoint, Peer, Script
from tests.kit.h2_serving import serving_h2
from tests.kit.h2_wire import POST, H2Wire
from tests.kit.k8s import wait_until
from tests.kit.messages import Heard, Pieces, body_of, request
from tests.kit.objects import alive, without_collector

from .conftest import WAIT_S, Sessions, to_endpoint

LARGE = bytes(300_000)


def on(kind: type[Event], act: Callable[[Peer, int], object]) -> Callable[[Peer, Event], None]:
    """Return a script that acts on events of *kind*."""

    def script(peer: Peer, event: Event) -> None:
        if isinstance(event, kind):
            act(peer, event.stream_id)  # type: ignore[attr-defined]

    return script


def test_a_request_goes_out_with_its_fields_and_a_whole_response_comes_back() -> None:
    with to_endpoint() as (sessions, endpoint):
        asked = request((b"X-More", b"1"), (b"Connection", b"close"), (b"TE", b"trailers"))
        response = sessions.send(asked)
        assert (response.status, response.version, response.reason) == (200, b"2", b"OK")
        assert response.body == b"ok"
        assert response.ending is None
        (peer,) = endpoint.peers
        assert peer.heads[1] == {
            ":method": "GET", ":scheme": "http", ":authority": "web", ":path": "/",
            "x-more": "1", "te": "trailers",
        }  # fmt: skip


def test_a_response_without_a_body_is_whole() -> None:
    script = on(RequestReceived, lambda peer, at: peer.head(at, 204, ends=True))
    with to_endpoint(script) as (sessions, _):
        response = sessions.send()
        assert (response.status, response.body, response.ending) == (204, b"", None)


def test_to_head_there_is_no_body_whatever_the_length_says() -> None:
    script = on(
        RequestReceived, lambda peer, at: peer.head(at, 200, ("content-length", "9"), ends=True)
    )
    with to_endpoint(script) as (sessions, _):
        response = sessions.send(request(method=b"HEAD"))
        assert response.body == b""
        assert response.headers.get(b"content-length") == b"9"


def test_trailers_come_after_the_body() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.reply(at, b"abc", trailers=(("grpc-status", "0"),))

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        response = sessions.send()
        assert not isinstance(response.body, bytes)
        assert body_of(response) == b"abc"
        assert response.body.trailers is not None
        assert response.body.trailers.get(b"grpc-status") == b"0"


@pytest.mark.parametrize("pieces", [(b"abc",), (b"a", b"bc"), (b"", b"abc", b"")])
def test_a_short_response_that_comes_at_once_asks_nothing_of_its_stream(
    pieces: tuple[bytes, ...],
) -> None:
    def act(peer: Peer, at: int) -> None:
        peer.h2.send_headers(at, ((":status", "200"),))
        for piece in pieces:
            peer.h2.send_data(at, piece)
        peer.h2.send_headers(at, (("grpc-status", "0"),), end_stream=True)
        peer.flush()

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        response = sessions.send()
        assert type(response.body) is Whole
        assert (response.ending, response.body.received) == (None, 3)
        assert body_of(response) == b"abc"


def test_a_long_response_that_comes_at_once_is_counted_as_waiting() -> None:
    body = bytes(range(250)) * 40

    def act(peer: Peer, at: int) -> None:
        peer.h2.send_headers(at, ((":status", "200"),))
        for start in range(0, len(body), 1000):
            peer.h2.send_data(at, body[start : start + 1000])
        peer.h2.send_headers(at, (("grpc-status", "0"),), end_stream=True)
        peer.flush()

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        response = sessions.send()
        assert isinstance(response.body, Inbound)
        assert body_of(response) == body


def test_a_response_whose_beginning_came_at_once_goes_on() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.h2.send_headers(at, ((":status", "200"),))
        peer.h2.send_data(at, b"first ")
        peer.flush()

    with to_endpoint(on(RequestReceived, act)) as (sessions, endpoint):
        response = sessions.send()
        assert isinstance(response.body, Inbound)
        endpoint.peers[0].h2.send_data(1, b"last", end_stream=True)
        endpoint.peers[0].flush()
        assert body_of(response) == b"first last"


def test_trailers_that_a_filter_changes_are_not_those_of_the_next_response() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.reply(at, b"x" * 5000, trailers=(("grpc-status", "0"),))

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        for _ in range(3):
            response = sessions.send()
            assert not isinstance(response.body, bytes)
            assert len(body_of(response)) == 5000
            assert response.body.trailers is not None
            assert response.body.trailers.names == [b"grpc-status"]
            response.body.trailers.write(b"l5d-success-class", b"1.0")


def test_trailers_come_after_a_head_alone() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.h2.send_headers(at, ((":status", "200"),))
        peer.h2.send_headers(at, (("grpc-status", "5"),), end_stream=True)
        peer.flush()

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        response = sessions.send()
        assert not isinstance(response.body, bytes)
        assert body_of(response) == b""
        assert response.body.trailers is not None
        assert response.body.trailers.get(b"grpc-status") == b"5"


def test_the_client_is_told_of_interim_responses_while_there_are_not_too_many() -> None:
    def few(peer: Peer, at: int) -> None:
        for _ in range(64):
            peer.head(at, 103, ("link", "</a>"))
        peer.reply(at)

    asked = request()
    asked.informed = heard = Heard()
    with to_endpoint(on(RequestReceived, few)) as (sessions, _):
        assert sessions.send().status == 200
        assert sessions.send(asked).status == 200
        assert heard.said == [(103, [b"link: </a>"])] * 64

    def many(peer: Peer, at: int) -> None:
        for _ in range(65):
            peer.head(at, 103)
        peer.reply(at)

    with (
        to_endpoint(on(RequestReceived, many)) as (sessions, _),
        pytest.raises(BadResponse, match="too many informational"),
    ):
        sessions.send()


def test_what_came_of_a_response_that_is_reset_at_once_is_forgotten() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.h2.send_headers(at, ((":status", "200"),))
        peer.h2.send_data(at, bytes(12_000))
        peer.h2.reset_stream(at, 2)
        peer.flush()

    before = memory.total
    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        with pytest.raises(StreamReset):
            sessions.send()
        assert memory.total == before


def test_a_large_response_arrives_while_it_is_read_and_then_ends() -> None:
    ends: list[bool] = []

    def act(peer: Peer, at: int) -> None:
        gevent.spawn(peer.reply, at, LARGE)

    with to_endpoint(on(StreamEnded, act)) as (sessions, _):
        response = sessions.send()
        assert response.ending is not None
        response.ending.then(ends.append)
        assert body_of(response) == LARGE
        assert ends == [False]


@pytest.mark.parametrize(
    ("pieces", "more"),
    [
        ((b"abc", b"def"), {}),
        ((b"abc", b"def"), {"chunked": True}),
        ((LARGE, LARGE), {}),
        ((b"abc",), {"chunked": True, "trailers": of((b"X-Sum", b"7"))}),
    ],
)
def test_a_request_body_is_sent_whole(pieces: tuple[bytes, ...], more: dict[str, object]) -> None:
    with to_endpoint() as (sessions, endpoint):
        body = Pieces(*pieces, **more)  # type: ignore[arg-type]
        assert sessions.send(request(method=b"POST", body=body)).status == 200
        (peer,) = endpoint.peers
        assert peer.bodies[1] == b"".join(pieces)
        assert peer.trailers.get(1) == ({"x-sum": "7"} if "trailers" in more else None)
        assert ("content-length" in peer.heads[1]) is (not more)


def test_an_answer_to_half_a_request_is_passed_on_and_the_rest_is_given_up() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.grants = False
        peer.reply(at, b"too large", status=413)

    with to_endpoint(on(RequestReceived, act)) as (sessions, endpoint):
        body = Pieces(LARGE, LARGE)
        response = sessions.send(request(method=b"POST", body=body))
        assert (response.status, body_of(response)) == (413, b"too large")
        wait_until(lambda: endpoint.peers[0].resets == {1: ErrorCodes.CANCEL})
        assert sessions.send().status == 413


def test_an_answer_and_a_reset_without_error_are_an_answer() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.h2.send_headers(at, ((":status", "200"),), end_stream=True)
        peer.reset(at, ErrorCodes.NO_ERROR)

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        body = Pieces(LARGE, LARGE)
        assert sessions.send(request(method=b"POST", body=body)).status == 200


@pytest.mark.parametrize(
    ("code", "kind", "is_retryable"),
    [
        (ErrorCodes.REFUSED_STREAM, StreamRefused, True),
        (ErrorCodes.CANCEL, StreamReset, False),
        (ErrorCodes.INTERNAL_ERROR, StreamReset, False),
        (ErrorCodes.HTTP_1_1_REQUIRED, StreamReset, False),
        (0x99, StreamReset, False),
    ],
)
def test_a_reset_before_the_head_is_an_error_with_its_code(
    code: int, kind: type[StreamReset], is_retryable: bool
) -> None:
    with to_endpoint(on(RequestReceived, lambda peer, at: peer.reset(at, code))) as (sessions, _):
        with pytest.raises(kind) as raised:
            sessions.send()
        assert raised.value.code == code
        assert raised.value.retryable is is_retryable
        assert raised.value.blames_endpoint


def test_a_reset_within_the_body_breaks_it() -> None:
    ends: list[bool] = []
    reset = gevent.event.Event()

    def act(peer: Peer, at: int) -> None:
        peer.head(at)
        peer.send(at, b"abc")

        def later() -> None:
            reset.wait()
            peer.reset(at, ErrorCodes.INTERNAL_ERROR)

        gevent.spawn(later)

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        response = sessions.send()
        assert response.ending is not None
        response.ending.then(ends.append)
        reset.set()
        with pytest.raises(StreamReset, match="INTERNAL_ERROR"):
            body_of(response)
        assert ends == [True]


def test_a_connection_that_ends_within_the_body_breaks_it() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.head(at)
        peer.send(at, b"abc")
        gevent.spawn(peer.close)

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        response = sessions.send()
        with pytest.raises(ConnectionClosed):
            body_of(response)


def test_without_an_answer_in_time_the_stream_is_given_up_and_the_session_stays() -> None:
    with to_endpoint(lambda *_: None) as (sessions, endpoint):
        with pytest.raises(ServiceTimedOut, match="waiting for a response"):
            sessions.send(seconds=0.05)
        wait_until(lambda: endpoint.peers[0].resets == {1: ErrorCodes.CANCEL})
        assert sessions.idle == 1


def test_each_wait_for_a_response_has_its_own_time() -> None:
    asked: list[int] = []
    with to_endpoint(on(RequestReceived, lambda _, at: asked.append(at))) as (sessions, endpoint):
        longest, long = (gevent.spawn(sessions.send, seconds=s) for s in (WAIT_S, 0.3))
        wait_until(lambda: len(asked) == 2)
        with pytest.raises(ServiceTimedOut, match="waiting for a response"):
            sessions.send(seconds=0.05)
        with pytest.raises(ServiceTimedOut, match="waiting for a response"):
            long.get(timeout=WAIT_S)
        endpoint.peers[0].reply(asked[0])
        assert longest.get(timeout=WAIT_S).status == 200


def test_the_first_byte_must_come_in_time_after_the_request() -> None:
    with (
        to_endpoint(lambda *_: None, limits={"first_byte": 0.05}) as (sessions, _),
        pytest.raises(ServiceTimedOut, match="waiting for a response"),
    ):
        sessions.send(request(method=b"POST", body=Pieces(b"abc")))


def test_a_body_that_stalls_breaks() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.head(at)
        peer.send(at, b"abc")

    with to_endpoint(on(RequestReceived, act), limits={"response_idle": 0.05}) as (sessions, at):
        response = sessions.send()
        with pytest.raises(ServiceTimedOut):
            body_of(response)
        wait_until(lambda: at.peers[0].resets == {1: ErrorCodes.CANCEL})


def test_an_endpoint_that_does_not_take_the_request_is_given_up() -> None:
    def act(peer: Peer, _: int) -> None:
        peer.grants = False

    with to_endpoint(on(RequestReceived, act), limits={"write_timeout": 0.05}) as (sessions, at):
        with pytest.raises(ServiceTimedOut, match="sending"):
            sessions.send(request(method=b"POST", body=Pieces(LARGE, LARGE)))
        wait_until(lambda: at.peers[0].resets == {1: ErrorCodes.CANCEL})


def test_a_response_that_nobody_reads_on_is_reset() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.head(at)
        peer.send(at, b"abc")

    ends: list[bool] = []
    with to_endpoint(on(RequestReceived, act)) as (sessions, endpoint):
        response = sessions.send()
        assert response.ending is not None
        response.ending.then(ends.append)
        response.close()
        assert ends == [False]
        wait_until(lambda: endpoint.peers[0].resets == {1: ErrorCodes.CANCEL})
        assert sessions.idle == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClientReset("reset", 0x99), ErrorCode.INTERNAL_ERROR),
        (ClientReset("reset", ErrorCode.NO_ERROR), ErrorCode.NO_ERROR),
        (ClientGone("gone"), ErrorCode.CANCEL),
        (gevent.GreenletExit(), ErrorCode.CANCEL),
    ],
)
def test_a_request_that_is_given_up_resets_its_stream(error: BaseException, code: int) -> None:
    with to_endpoint(lambda *_: None) as (sessions, endpoint):
        sending = gevent.spawn(sessions.send)
        wait_until(lambda: endpoint.peers and endpoint.peers[0].heads)
        sending.kill(error, block=True)
        wait_until(lambda: endpoint.peers[0].resets == {1: code})


class Broken(Pieces):
    """A body whose client is gone after the first piece."""

    def read(self, other: object = None) -> bytes:
        del other
        if not self.has_piece:
            raise ClientGone("the client is gone")
        return super().read()


def test_a_request_whose_client_is_gone_resets_its_stream() -> None:
    with to_endpoint(lambda *_: None) as (sessions, endpoint):
        body = Broken(b"abc", chunked=True)
        body.is_complete = False
        with pytest.raises(ClientGone):
            sessions.send(request(method=b"POST", body=body))
        wait_until(lambda: [one.resets for one in endpoint.peers] == [{1: ErrorCodes.CANCEL}])


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"\0\0\3\x03\0\0\0\0\1\0\0\0", BadResponse),  # a frame of a wrong length
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", BadResponse),
    ],
)
def test_an_endpoint_that_violates_http2_is_blamed(sent: bytes, error: type[ProxyError]) -> None:
    def act(peer: Peer, _: int) -> None:
        peer.sock.sendall(sent)
        peer.close()

    with to_endpoint(on(RequestReceived, act)) as (sessions, _), pytest.raises(error):
        sessions.send()


def test_a_response_that_is_malformed_is_no_response() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.h2.config.validate_outbound_headers = False
        peer.h2.config.normalize_outbound_headers = False
        peer.head(at, 200, ("connection", "close"))

    with to_endpoint(on(RequestReceived, act)) as (sessions, endpoint):
        with pytest.raises(BadResponse, match="connection"):
            sessions.send()
        wait_until(lambda: endpoint.peers[0].resets == {1: ErrorCodes.PROTOCOL_ERROR})


def test_data_is_received_in_any_number_of_pieces() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.bodies[at] += b""

    with to_endpoint(on(DataReceived, act)) as (sessions, endpoint):
        endpoint.script = on(StreamEnded, lambda peer, at: peer.reply(at, peer.bodies[at]))
        body = Pieces(*[b"%d," % n for n in range(100)], chunked=True)
        response = sessions.send(request(method=b"POST", body=body))
        assert body_of(response) == b"".join(b"%d," % n for n in range(100))


# --- a client of HTTP/2 in front: bodies are coupled ---


@contextmanager
def relayed(script: Script, **more: Any) -> Iterator[tuple[H2Wire, Sessions, H2Endpoint]]:
    """Give a client of PyPI's `h2` whose requests go to an endpoint by both sides of ours."""
    limits = replace(Limits(), **more)
    with (
        to_endpoint(script, limits=more) as (sessions, endpoint),
        serving_h2(lambda asked: sessions.exchange(asked, monotonic() + WAIT_S), limits) as server,
        server.client() as wire,
    ):
        yield wire, sessions, endpoint


def later(answer: Callable[[bytes], bytes]) -> Script:
    """Return a script that makes a response of each body, and reads on while it sends it."""
    return on(
        StreamEnded,
        lambda peer, at: gevent.spawn(peer.reply, at, answer(peer.bodies[at])),
    )


def echo(peer: Peer, event: Event) -> None:
    """Send back each piece as it comes."""
    if isinstance(event, RequestReceived):
        peer.head(event.stream_id)
    elif isinstance(event, DataReceived):
        peer.send(event.stream_id, event.data)
    elif isinstance(event, StreamEnded):
        peer.send(event.stream_id, ends=True)


def test_both_directions_go_on_at_once_after_the_head() -> None:
    with relayed(echo) as (wire, _, endpoint):
        at = wire.ask(POST, b"one", ends=False)
        wire.until(ResponseReceived, at)
        assert wire.until(DataReceived, at).data == b"one"
        wire.send(at, b"two")
        assert wire.until(DataReceived, at).data == b"two"
        wire.send(at, b"", ends=True)
        wire.until(StreamEnded, at)
        assert endpoint.peers[0].resets == {}


def test_a_request_longer_than_all_windows_arrives_and_comes_back() -> None:
    with relayed(later(lambda body: body)) as (
        wire,
        _,
        _e,
    ):
        at = wire.ask(POST, ends=False, body=b"")
        sent = b""
        while len(sent) < 500_000:
            wire.glance()
            count = wire.fill(at)
            sent += bytes(count)
        wire.send(at, b"", ends=True)
        assert wire.body(at) == sent


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (ErrorCodes.CANCEL, ErrorCodes.CANCEL),
        (ErrorCodes.INTERNAL_ERROR, ErrorCodes.INTERNAL_ERROR),
        (0x99, ErrorCodes.INTERNAL_ERROR),
    ],
)
@pytest.mark.parametrize("after_head", [False, True])
def test_a_reset_of_the_client_reaches_the_endpoint_with_its_code(
    code: int, expected: int, after_head: bool
) -> None:
    def act(peer: Peer, at: int) -> None:
        if after_head:
            peer.head(at)
            peer.send(at, b"abc")

    with relayed(on(RequestReceived, act)) as (wire, sessions, endpoint):
        at = wire.ask(POST, b"one", ends=False)
        wait_until(lambda: endpoint.peers and endpoint.peers[0].bodies.get(1))
        if after_head:
            wire.until(DataReceived, at)
        wire.h2.reset_stream(at, code)
        wire.flush()
        wait_until(lambda: endpoint.peers[0].resets == {1: expected})
        assert sessions.count("cut_responses") == 0


@pytest.mark.parametrize("code", [ErrorCodes.INTERNAL_ERROR, 0x99])
def test_a_reset_of_the_client_after_its_request_reaches_the_endpoint(code: int) -> None:
    def act(peer: Peer, at: int) -> None:
        peer.head(at)
        peer.send(at, b"abc")

    with relayed(on(StreamEnded, act)) as (wire, _, endpoint):
        at = wire.ask()
        wire.until(DataReceived, at)
        wire.h2.reset_stream(at, code)
        wire.flush()
        wait_until(lambda: endpoint.peers[0].resets == {1: ErrorCodes.INTERNAL_ERROR})


def test_a_request_that_stalls_after_the_head_is_given_up() -> None:
    with relayed(echo, read_idle=0.05) as (wire, sessions, endpoint):
        at = wire.ask(POST, b"one", ends=False)
        wire.until(ResetReceived, at)
        wait_until(lambda: endpoint.peers[0].resets == {1: ErrorCodes.CANCEL})
        assert sessions.idle == 1


def test_a_response_without_a_body_ends_a_request_that_has_not_ended() -> None:
    script = on(RequestReceived, lambda peer, at: peer.head(at, 204, ends=True))
    with relayed(script) as (wire, sessions, endpoint):
        at = wire.ask(POST, b"one", ends=False)
        wire.until(StreamEnded, at)
        wait_until(lambda: endpoint.peers[0].resets == {1: ErrorCodes.CANCEL})
        assert sessions.idle == 1


def test_the_time_for_the_first_byte_begins_when_the_request_has_ended() -> None:
    with relayed(lambda *_: None, first_byte=0.05) as (wire, _, endpoint):
        at = wire.ask(POST, b"one", ends=False)
        wait_until(lambda: endpoint.peers and endpoint.peers[0].bodies.get(1))
        assert endpoint.peers[0].resets == {}
        wire.send(at, b"", ends=True)
        head = wire.until(ResponseReceived, at)
        assert dict(head.headers)[":status"] == "503"


@pytest.mark.parametrize("size", [1, 4096, 4097, 16_000])
def test_a_message_passes_with_its_trailers(size: int) -> None:
    def act(peer: Peer, at: int) -> None:
        peer.reply(at, peer.bodies[at], trailers=(("grpc-status", "0"),))

    with relayed(on(StreamEnded, act)) as (wire, _, _endpoint):
        for _ in range(2):
            assert wire.body(wire.ask(POST, bytes(size))) == bytes(size)
        trailers = wire.until(TrailersReceived, wire.ask(POST, b"abcd"))
        assert dict(trailers.headers) == {"grpc-status": "0"}


def test_a_message_waits_with_its_trailers_for_a_window() -> None:
    def act(peer: Peer, at: int) -> None:
        peer.reply(at, b"abcd", trailers=(("grpc-status", "0"),))

    with relayed(on(RequestReceived, act)) as (wire, _, _endpoint):
        wire.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 3})
        wire.flush()
        at = wire.ask()
        assert wire.until(DataReceived, at).data == b"abc"
        wire.h2.increment_flow_control_window(1, at)
        wire.flush()
        assert wire.until(DataReceived, at).data == b"d"
        assert wire.until(TrailersReceived, at)


def test_a_body_that_came_whole_is_granted_again() -> None:
    body = bytes(60_000)
    with relayed(later(lambda _: body)) as (wire, _, _endpoint):
        for _ in range(20):
            assert wire.body(wire.ask()) == body


def test_each_request_of_a_connection_that_breaks_the_rules_has_its_own_error() -> None:
    def act(peer: Peer, at: int) -> None:
        if at == 3:
            peer.sock.sendall(b"\0\0\3\x03\0\0\0\0\1\0\0\0")

    with to_endpoint(on(RequestReceived, act)) as (sessions, _):
        sending = [gevent.spawn(sessions.send) for _ in range(2)]
        gevent.joinall(sending)
        first, second = (each.exception for each in sending)
        assert isinstance(first, BadResponse)
        assert isinstance(second, BadResponse)
        assert first is not second


@pytest.mark.parametrize("body", [b"ok", LARGE])
def test_an_exchange_that_is_over_leaves_nothing_to_the_garbage_collector(body: bytes) -> None:
    def act(peer: Peer, at: int) -> None:
        gevent.spawn(peer.reply, at, body)

    with to_endpoint(on(StreamEnded, act)) as (sessions, _), without_collector():
        before = alive(H2Exchange, Inbound, Outbound)
        for pieces in (None, Pieces(b"abc")):
            asked = request(method=b"POST")
            asked.body = pieces
            assert body_of(sessions.send(asked)) == body
        wait_until(lambda: alive(H2Exchange, Inbound, Outbound) <= before)
