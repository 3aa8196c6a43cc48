"""What becomes of a message that comes by one version of HTTP and goes on by the other."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import gevent
import pytest
from gevent import socket
from gevent.event import Event as Flag
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    RequestReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h11 import RemoteProtocolError

from meshproxy.net.h2 import inbound
from tests.kit.badserver import BadServer, Send, Stall, Until
from tests.kit.downstream import Answer, Downstream
from tests.kit.faults import RESET
from tests.kit.h2_endpoint import H2Endpoint, Peer
from tests.kit.h2_wire import GET, POST, H2Wire
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import WAIT_S, WireClient, dial, get

LARGE = "v" * 6000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def bridge(port: int, by: str, onwards: str, more: str = "") -> Proxy:
    """Return a proxy that takes protocol *by* and goes on to *port* by protocol *onwards*."""
    return Proxy(
        f"admin: {{port: 0}}\nrouters:\n- protocol: {by}\n  client: {{protocol: {onwards}}}\n"
        f"  dtab: /svc => /$/inet/127.0.0.1/{port}\n  servers: [{{port: 0}}]\n{more}"
    )


@contextmanager
def to_http_1(port: int) -> Iterator[H2Wire]:
    """Give a client of HTTP/2, whose requests go on to *port* by HTTP/1.1."""
    with bridge(port, "h2", "http") as proxy, dial(("127.0.0.1", proxy.port("h2"))) as sock:
        yield H2Wire(sock)


@contextmanager
def to_http_2(port: int) -> Iterator[int]:
    """Give the port where requests by HTTP/1.1 go on to *port* by HTTP/2."""
    with bridge(port, "http", "h2") as proxy:
        yield proxy.port()


def unended(proxy: Proxy) -> float:
    """Return how many streams came without their end."""
    found = proxy.metrics().items()
    return sum(value for name, value in found if name.endswith("/stream/unended"))


def asked(wire: H2Wire, stream_id: int) -> tuple[dict[str, str], bytes, dict[str, str], str]:
    """Return head, body, trailers of a response, and how it ended."""
    head: dict[str, str] = {}
    trailers: dict[str, str] = {}
    body = b""
    for event in wire.events():
        if getattr(event, "stream_id", None) != stream_id:
            continue
        if isinstance(event, ResponseReceived):
            head = {str(name): str(value) for name, value in event.headers}
        elif isinstance(event, DataReceived):
            body += event.data
        elif isinstance(event, TrailersReceived):
            trailers = {str(name): str(value) for name, value in event.headers}
        elif isinstance(event, StreamReset):
            return head, body, trailers, ErrorCodes(event.error_code or 0).name
        elif isinstance(event, StreamEnded):
            return head, body, trailers, "whole"
    raise AssertionError("the connection was closed")


# --- HTTP/2 to HTTP/1.1 ---


def test_fields_of_a_request_become_those_of_http_1() -> None:
    fields = (
        *GET, ("cookie", "a=1"), ("te", "trailers"), ("x-large", LARGE), ("cookie", "b=2"),
    )  # fmt: skip
    with Downstream(lambda _: b"ok") as origin, to_http_1(origin.port) as wire:
        assert asked(wire, wire.ask(fields))[1] == b"ok"
        (request,) = origin.requests
        assert (request.get_all("host"), request.get_all("cookie")) == (["web"], ["a=1; b=2"])
        assert request.get("x-large") == LARGE
        assert not [name for name, _ in request.raw if name.startswith(b":")]


def test_trailers_go_to_http_1_and_come_back_in_chunks() -> None:
    answer = Answer(body=[b"one", b"two"], trailers=(("X-Sum", "6"),))
    with Downstream(lambda _: answer) as origin, to_http_1(origin.port) as wire:
        stream_id = wire.ask((*POST, ("te", "trailers")), b"hello", ends=False)
        wire.h2.send_headers(stream_id, (("x-own", "1"),), end_stream=True)
        wire.flush()
        head, body, trailers, end = asked(wire, stream_id)
        assert (head[":status"], body, end) == ("200", b"onetwo", "whole")
        assert trailers["x-sum"] == "6"
        (request,) = origin.requests
        assert (request.body, request.trailers) == (b"hello", [(b"x-own", b"1")])
        assert request.get("transfer-encoding") == "chunked"


def test_trailers_that_frame_or_admit_go_no_further() -> None:
    script = [Until(b"0\r\n"), Send(OK)]
    with BadServer([script]) as origin, to_http_1(origin.port) as wire:
        stream_id = wire.ask(POST, b"hello", ends=False)
        trailers = (("content-length", "7"), ("authorization", "b"), ("l5d-dtab", "/a=>/b"))
        wire.h2.send_headers(stream_id, (*trailers, ("x-own", "1")), end_stream=True)
        wire.flush()
        assert asked(wire, stream_id)[1] == b"ok"
        assert origin.received[0].endswith(b"\r\n0\r\nx-own: 1\r\n\r\n")


def test_fields_of_the_connection_stay_on_it() -> None:
    headers = (("Connection", "x-hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("X-End", "2"))
    answer = Answer(body=b"ok", headers=headers)
    with Downstream(lambda _: answer) as origin, to_http_1(origin.port) as wire:
        head = asked(wire, wire.ask())[0]
        assert head["x-end"] == "2"
        assert not {"connection", "x-hop", "keep-alive", "transfer-encoding"} & head.keys()


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_a_response_without_a_body_from_http_1_ends_the_stream(method: str, status: int) -> None:
    with (
        Downstream(lambda _: Answer(status=status)) as origin,
        to_http_1(origin.port) as wire,
    ):
        for _ in range(2):
            head, body, _trailers, end = asked(wire, wire.ask(((":method", method), *GET[1:])))
            assert (head[":status"], body, end) == (str(status), b"", "whole")


@pytest.mark.parametrize(
    ("raw", "body", "end"),
    [
        pytest.param(b"\r\nuntil the end", b"until the end", "whole", id="no length"),
        pytest.param(b"Content-Length: 9\r\n\r\npart", b"part", "INTERNAL_ERROR", id="cut"),
        pytest.param(
            b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
            b"part",
            "INTERNAL_ERROR",
            id="chunks",
        ),
    ],
)
def test_an_end_of_the_connection_ends_a_body_without_length_and_cuts_others(
    raw: bytes, body: bytes, end: str
) -> None:
    script = [Until(), Send(b"HTTP/1.1 200 OK\r\n" + raw)]
    with BadServer([script]) as origin, to_http_1(origin.port) as wire:
        found = asked(wire, wire.ask())
        assert (found[0][":status"], found[1], found[3]) == ("200", body, end)


def hints(wire: H2Wire) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Return the informational responses to a request, and the head of the final one."""
    found = []
    stream_id = wire.ask()
    for event in wire.events():
        fields = {str(name): str(value) for name, value in getattr(event, "headers", None) or ()}
        if isinstance(event, InformationalResponseReceived):
            assert event.stream_id == stream_id
            found.append(fields)
        elif isinstance(event, ResponseReceived):
            return found, fields
    raise AssertionError("the connection was closed")


def test_informational_responses_of_http_1_are_passed_on() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    script = [Until(), Send(b"HTTP/1.1 100 Continue\r\n\r\n" + early + early + OK)]
    with BadServer([script]) as origin, to_http_1(origin.port) as wire:
        found, final = hints(wire)
        assert found == [{":status": "103", "link": "</a>"}] * 2
        assert final[":status"] == "200"


# --- HTTP/1.1 to HTTP/2 ---


def early_hints(peer: Peer, event: Event) -> None:
    """Answer with two informational responses first."""
    if isinstance(event, StreamEnded):
        peer.head(event.stream_id, 100)
        peer.head(event.stream_id, 103, ("link", "</a>"))
        peer.reply(event.stream_id, b"body")


def test_informational_responses_of_http_2_are_passed_on_by_http_2_alone() -> None:
    with H2Endpoint(early_hints) as origin:
        with to_http_2(origin.port) as port, WireClient(port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            reply = client.read()
            assert (reply.status, reply.body, reply.informational) == (200, b"body", [])
        with (
            bridge(origin.port, "h2", "h2") as proxy,
            dial(("127.0.0.1", proxy.port("h2"))) as sock,
        ):
            found, final = hints(H2Wire(sock))
            assert (found, final[":status"]) == ([{":status": "103", "link": "</a>"}], "200")


def test_a_retry_may_bring_further_informational_responses() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </%d>\r\n\r\n"
    failed = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    scripts = [[Until(), Send(early % 1 + failed)], [Until(), Send(early % 2 + OK)]]
    retrying = "  service: {responseClassifier: {kind: io.l5d.h2.retryableRead5XX}}\n"
    with (
        BadServer(scripts) as origin,
        bridge(origin.port, "h2", "http", retrying) as proxy,
        dial(("127.0.0.1", proxy.port("h2"))) as sock,
    ):
        found, final = hints(H2Wire(sock))
        assert [each["link"] for each in found] == ["</1>", "</2>"]
        assert final[":status"] == "200"


def test_fields_of_a_request_become_those_of_http_2() -> None:
    with H2Endpoint() as origin, to_http_2(origin.port) as port:
        hop = ("Connection: x-hop", "X-Hop: 1", "Keep-Alive: timeout=5")
        fields = ("Cookie: a=1; b=2", f"X-Large: {LARGE}", "X-End: 2")
        assert get(port, "web", "/p?q", *hop, *fields).body == b"ok"
        (head,) = origin.peers[0].heads.values()
        assert (head[":authority"], head[":path"], head[":scheme"]) == ("web", "/p?q", "http")
        assert (head["cookie"], head["x-large"], head["x-end"]) == ("a=1; b=2", LARGE, "2")
        assert not {"host", "connection", "x-hop", "keep-alive"} & head.keys()


def test_chunks_and_trailers_go_to_http_2_and_come_back() -> None:
    def answer(peer: Peer, event: Event) -> None:
        if isinstance(event, StreamEnded):
            peer.reply(event.stream_id, b"body", trailers=(("x-sum", "4"),))

    with H2Endpoint(answer) as origin, to_http_2(origin.port) as port, WireClient(port) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: web\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Own: 1\r\n\r\n"
        )
        reply = client.read(b"POST")
        assert (reply.body, reply.get("transfer-encoding")) == (b"body", "chunked")
        assert (b"x-sum", b"4") in reply.trailers
        assert list(origin.peers[0].bodies.values()) == [b"hello"]
        assert origin.peers[0].trailers == {1: {"x-own": "1"}}
        assert "transfer-encoding" not in origin.peers[0].heads[1]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_a_response_without_a_body_from_http_2_leaves_the_connection_usable(
    method: str, status: int
) -> None:
    def answer(peer: Peer, event: Event) -> None:
        if isinstance(event, StreamEnded):
            peer.head(event.stream_id, status, ends=True)

    with H2Endpoint(answer) as origin, to_http_2(origin.port) as port, WireClient(port) as client:
        for _ in range(2):
            client.send(f"{method} / HTTP/1.1\r\nHost: web\r\n\r\n".encode())
            reply = client.read(method.encode())
            assert (reply.status, reply.body) == (status, b"")


def test_a_response_from_http_2_without_its_end_is_whole_once_all_of_it_came(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound, "_END_SECONDS", 0.1)

    def answer(peer: Peer, event: Event) -> None:
        if isinstance(event, StreamEnded):
            peer.head(event.stream_id, 200, ("content-length", "4"))
            peer.send(event.stream_id, b"page")

    with H2Endpoint(answer) as origin, bridge(origin.port, "http", "h2") as proxy:
        with WireClient(proxy.port()) as client:
            for _ in range(2):
                assert client.get("web").body == b"page"
        wait_until(lambda: origin.peers[0].resets == {1: 8, 3: 8})
        assert unended(proxy) == 2


def test_a_request_by_http_2_without_its_end_does_not_wait_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound, "_END_SECONDS", 0.1)
    script = [Until(b"page"), Stall()]
    with BadServer([script]) as origin, bridge(origin.port, "h2", "http") as proxy:
        with dial(("127.0.0.1", proxy.port("h2"))) as sock:
            wire = H2Wire(sock)
            stream = wire.ask((*POST, ("content-length", "4")), b"page", ends=False)
            head, _, _, end = asked(wire, stream)
        assert (head[":status"], end) == ("408", "whole")
        assert unended(proxy) == 1


@pytest.mark.parametrize("code", [ErrorCodes.CANCEL, ErrorCodes.INTERNAL_ERROR])
def test_a_reset_is_a_502_before_the_head_and_cuts_the_body_after_it(code: ErrorCodes) -> None:
    def answer(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            if peer.heads[event.stream_id][":path"] == "/late":
                peer.head(event.stream_id)
                peer.send(event.stream_id, b"part")
            peer.reset(event.stream_id, code)

    with H2Endpoint(answer) as origin, to_http_2(origin.port) as port:
        reply = get(port, "web")
        assert (reply.status, reply.get("l5d-err") is not None) == (502, True)
        with pytest.raises(RemoteProtocolError, match="incomplete"):
            get(port, "web", "/late")


@pytest.mark.parametrize("body", [b"", b"whole"])
def test_a_reset_after_all_that_was_announced_costs_no_connection(body: bytes) -> None:
    def answer(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            peer.head(event.stream_id, 200, ("content-length", str(len(body))))
            if body:
                peer.send(event.stream_id, body)
            assert has_come.wait(WAIT_S)
            has_come.clear()
            peer.reset(event.stream_id, ErrorCodes.INTERNAL_ERROR)

    has_come = Flag()
    with H2Endpoint(answer) as origin, to_http_2(origin.port) as port, WireClient(port) as client:
        for _ in range(2):
            reply = client.get("web")
            assert (reply.status, reply.body) == (200, body)
            has_come.set()


@pytest.mark.parametrize("body", [b"", b"whole", b"w" * 60_000])
def test_a_reset_in_the_segment_of_all_that_was_announced_changes_nothing(body: bytes) -> None:
    def answer(peer: Peer, event: Any) -> None:
        if isinstance(event, StreamEnded):
            length = ("content-length", str(len(body)))
            peer.h2.send_headers(event.stream_id, ((":status", "200"), length))
            for at in range(0, len(body), 16384):
                peer.h2.send_data(event.stream_id, body[at : at + 16384])
            peer.reset(event.stream_id, ErrorCodes.INTERNAL_ERROR)

    with H2Endpoint(answer) as origin, to_http_2(origin.port) as port, WireClient(port) as client:
        for _ in range(2):
            reply = client.get("web")
            assert (reply.status, reply.body) == (200, body)


def test_a_client_of_http_1_that_resets_its_connection_resets_the_stream() -> None:
    with H2Endpoint(lambda *_: None) as origin, to_http_2(origin.port) as port:
        with WireClient(port) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            wait_until(lambda: bool(origin.peers) and bool(origin.peers[0].heads))
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        wait_until(lambda: bool(origin.peers[0].resets))
        assert origin.peers[0].resets == {1: ErrorCodes.CANCEL}


def test_an_early_response_to_a_post_comes_through() -> None:
    def answer(peer: Peer, event: Event) -> None:
        if isinstance(event, RequestReceived):
            peer.reply(event.stream_id, b"enough", 413)

    with H2Endpoint(answer) as origin, to_http_2(origin.port) as port, WireClient(port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 100000\r\n\r\nbegun")
        reply = client.read(b"POST")
        assert (reply.status, reply.body) == (413, b"enough")


@pytest.mark.parametrize("resets", [False, True])
def test_an_early_response_reaches_a_client_that_is_still_sending(resets: bool) -> None:
    def answer(peer: Peer, event: Event) -> None:
        if isinstance(event, RequestReceived):
            peer.grants = False
            peer.reply(event.stream_id, b"enough", 413)
            if resets:
                peer.reset(event.stream_id, ErrorCodes.NO_ERROR)

    def send(client: WireClient) -> None:
        with suppress(OSError):
            for _ in range(1000):
                client.send(bytes(65536))

    with H2Endpoint(answer) as origin, to_http_2(origin.port) as port, WireClient(port) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 65536000\r\n\r\n")
        sending = gevent.spawn(send, client)
        reply = client.read(b"POST")
        assert (reply.status, reply.body) == (413, b"enough")
        assert reply.get("connection") == "close"
        sending.kill()
        if not resets:
            wait_until(lambda: origin.peers[0].resets == {1: ErrorCodes.CANCEL})


def test_a_client_that_expects_100_continue_gets_it_before_its_body() -> None:
    with H2Endpoint() as origin, to_http_2(origin.port) as port, WireClient(port) as client:
        head = b"POST / HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        client.send(head)
        assert client.sock.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hello")
        assert client.read(b"POST").status == 200
        assert origin.peers[0].bodies[1] == b"hello"
