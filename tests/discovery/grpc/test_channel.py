"""Calls of gRPC to servers that keep the protocol and to some that do not."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from h2.errors import ErrorCodes
from h2.events import RequestReceived, StreamEnded

from meshproxy.discovery.grpc.channel import Calls, GrpcChannel
from meshproxy.discovery.watching.api import Bounds
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.h2.settings import KeepAlive, LocalSettings
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Addr, AddrBound, Address
from meshproxy.runtime.origins import http2_to
from meshproxy.var import Var
from tests.kit.h2_endpoint import H2Endpoint, Peer
from tests.kit.k8s import wait_until
from tests.kit.wire import free_port

QUICK = Bounds(pace_s=0.0, connect_s=2.0, head_s=2.0, body_s=0.1, stream_s=2.0, max_bytes=1000)
KIND = ("content-type", "application/grpc")


def framed(*messages: bytes) -> bytes:
    return b"".join(b"\0" + len(one).to_bytes(4) + one for one in messages)


def reach(where: Var[Addr], bounds: Bounds = QUICK) -> GrpcChannel:
    return GrpcChannel(
        where, "namerd:4321", http2_to(Tree(), None, LocalSettings(), KeepAlive()), bounds
    )


def at(*ports: int) -> Var[Addr]:
    return Var(AddrBound(frozenset(Address("127.0.0.1", port) for port in ports)))


@contextmanager
def calling(answer: Any, bounds: Bounds = QUICK) -> Iterator[tuple[Calls, H2Endpoint]]:
    """Give calls to a server that does *answer* with each whole request."""

    def script(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            answer(peer, event.stream_id)

    with (
        H2Endpoint(script) as server,
        closing(Calls(reach(at(server.port), bounds), lambda: None)) as calls,
    ):
        yield calls, server


def answering(*messages: bytes, status: str = "0", **more: Any) -> Any:
    def answer(peer: Peer, stream_id: int) -> None:
        peer.head(stream_id, more.get("http", 200), KIND)
        peer.send(stream_id, framed(*messages))
        trailers = [("grpc-status", status), ("grpc-message", more.get("message", ""))]
        peer.h2.send_headers(stream_id, trailers, end_stream=True)
        peer.flush()

    return answer


def test_a_call_is_what_grpc_says_and_its_message_comes_back() -> None:
    with calling(answering(b"page")) as (calls, server):
        assert calls.ask("/a.B/C", b"question") == b"page"
        assert calls.request == "/a.B/C"
        assert 0 < calls.requested_at <= calls.responded_at
        (peer,) = server.peers
        head = peer.heads[1]
        assert (head[":method"], head[":path"], head[":authority"], head["te"]) == (
            "POST", "/a.B/C", "namerd:4321", "trailers",
        )  # fmt: skip
        assert head["content-type"] == "application/grpc+proto"
        assert peer.bodies[1] == framed(b"question")


def test_a_stream_yields_each_message_and_then_ends() -> None:
    with calling(answering(b"a", b"", b"c")) as (calls, server):
        assert list(calls.stream("/a.B/C", b"")) == [b"a", b"", b"c"]
        assert list(calls.stream("/a.B/C", b"")) == [b"a", b"", b"c"]
        assert len(server.peers) == 1


def head_only(*fields: tuple[str, str], http: int = 200) -> Any:
    return lambda peer, stream_id: peer.head(stream_id, http, *fields, ends=True)


def body_only(body: bytes, *fields: tuple[str, str]) -> Any:
    def answer(peer: Peer, stream_id: int) -> None:
        peer.head(stream_id, 200, *fields)
        peer.send(stream_id, body, ends=True)

    return answer


def stalling(peer: Peer, stream_id: int) -> None:
    peer.head(stream_id, 200, KIND)
    peer.send(stream_id, framed(b"abc")[:-1])


@pytest.mark.parametrize(
    ("answer", "reason", "why"),
    [
        (answering(status="5", message="no%20root"), Reason.STATUS, "status '5': 'no root'"),
        (head_only(KIND, ("grpc-status", "14")), Reason.STATUS, "status '14'"),
        (head_only(KIND, ("grpc-status", "x")), Reason.STATUS, "status 'x'"),
        (head_only(http=502), Reason.STATUS, "status 502"),
        (head_only(("content-type", "text/html")), Reason.MALFORMED, "not gRPC"),
        (head_only(KIND), Reason.BROKEN, "without a status"),
        (body_only(framed(b"x"), KIND), Reason.BROKEN, "without a status"),
        (body_only(framed(b"x")[:-1], KIND), Reason.MALFORMED, "cut short"),
        (body_only(framed(bytes(1001)), KIND), Reason.MALFORMED, "over 1000 bytes"),
        (answering(), Reason.MALFORMED, "no message"),
        (answering(b"a", b"b"), Reason.MALFORMED, "more than one message"),
        (lambda peer, at: peer.reset(at, ErrorCodes.INTERNAL_ERROR), Reason.STATUS, "status 13: "),
        (lambda peer, at: peer.reset(at, ErrorCodes.REFUSED_STREAM), Reason.STATUS, "status 14: "),
        (lambda peer, _: peer.close(), Reason.BROKEN, "lost"),
        (stalling, Reason.STALLED, "a message does not end"),
    ],
)
def test_what_is_no_answer_is_a_failure_with_its_reason(
    answer: Any, reason: Reason, why: str
) -> None:
    with calling(answer) as (calls, _):
        with pytest.raises(ApiFailure, match=why) as raised:
            calls.ask("/a.B/C", b"")
        assert raised.value.reason is reason


def test_without_an_answer_in_time_the_call_fails() -> None:
    bounds = replace(QUICK, head_s=0.05)
    with calling(lambda *_: None, bounds) as (calls, server):
        with pytest.raises(ApiFailure) as raised:
            calls.ask("/a.B/C", b"")
        assert raised.value.reason is Reason.STALLED
        wait_until(lambda: server.peers[0].resets == {1: ErrorCodes.CANCEL})


def test_a_stream_that_says_nothing_more_is_ended_after_its_time() -> None:
    def answer(peer: Peer, stream_id: int) -> None:
        peer.head(stream_id, 200, KIND)
        peer.send(stream_id, framed(b"a"))

    with calling(answer, replace(QUICK, stream_s=0.2)) as (calls, server):
        assert list(calls.stream("/a.B/C", b"")) == [b"a"]
        wait_until(lambda: server.peers[0].resets == {1: ErrorCodes.CANCEL})


def test_a_stream_that_nobody_follows_is_cancelled() -> None:
    def answer(peer: Peer, stream_id: int) -> None:
        peer.head(stream_id, 200, KIND)
        peer.send(stream_id, framed(b"a"))

    with calling(answer) as (calls, server):
        stream = calls.stream("/a.B/C", b"")
        assert next(stream) == b"a"
        stream.close()
        wait_until(lambda: server.peers[0].resets == {1: ErrorCodes.CANCEL})


def test_another_address_is_tried_if_one_cannot_be_reached_and_then_kept() -> None:
    def script(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            answering(b"page")(peer, event.stream_id)

    with H2Endpoint(script) as server:
        channel = reach(at(server.port, free_port(), free_port()))
        with closing(Calls(channel, lambda: None)) as calls:
            for _ in range(5):
                assert calls.ask("/a.B/C", b"") == b"page"
            assert len(server.peers) == 1


def test_without_an_address_it_says_so() -> None:
    channel = reach(Var(AddrBound(frozenset())))
    with (
        closing(Calls(channel, lambda: None)) as calls,
        pytest.raises(ApiFailure, match="namerd:4321 has no address"),
    ):
        calls.ask("/a.B/C", b"")


def test_the_connection_is_closed_after_the_last_who_may_call() -> None:
    def script(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            peer.grants = True
        if isinstance(event, StreamEnded):
            answering(b"page")(peer, event.stream_id)

    with H2Endpoint(script) as server:
        channel = reach(at(server.port))
        first, second = Calls(channel, lambda: None), Calls(channel, lambda: None)
        first.ask("/a.B/C", b"")
        first.close()
        second.ask("/a.B/C", b"")
        assert len(server.peers) == 1
        second.close()
        wait_until(lambda: server.peers[0].sock.closed)


def test_all_answers_together_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshproxy.discovery.grpc.channel.MAX_ALL_BYTES", 350)

    def script(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            answering(bytes(100), bytes(100))(peer, event.stream_id)

    with H2Endpoint(script) as server:
        channel = reach(at(server.port))
        calls = [Calls(channel, lambda: None) for _ in range(3)]
        for each in calls[:2]:
            assert list(each.stream("/a.B/C", b"")) == [bytes(100)] * 2
        assert channel.held_bytes == 200
        with pytest.raises(ApiFailure) as raised:
            list(calls[2].stream("/a.B/C", b""))
        assert raised.value.reason is Reason.TOO_LARGE
        for each in calls:
            each.close()
        assert channel.held_bytes == 0
