"""Requests and responses on streams, with an endpoint by PyPI's `h2`."""

from collections.abc import Callable

import gevent
import pytest
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded

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
from tests.kit.h2_endpoint import Peer
from tests.kit.k8s import wait_until
from tests.kit.messages import Pieces, body_of, request

from .conftest import to_endpoint

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


def test_interim_responses_are_dropped_while_there_are_not_too_many() -> None:
    def few(peer: Peer, at: int) -> None:
        for _ in range(64):
            peer.head(at, 103)
        peer.reply(at)

    with to_endpoint(on(RequestReceived, few)) as (sessions, _):
        assert sessions.send().status == 200

    def many(peer: Peer, at: int) -> None:
        for _ in range(65):
            peer.head(at, 103)
        peer.reply(at)

    with (
        to_endpoint(on(RequestReceived, many)) as (sessions, _),
        pytest.raises(BadResponse, match="too many informational"),
    ):
        sessions.send()


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
