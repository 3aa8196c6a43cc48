"""The kit tells the truth: a server serves, a client reads strictly, a script is followed."""

from pathlib import Path

import h11
import pytest
from gevent import socket

from tests.kit.badserver import BadServer, Reset, Send, Stall, Until
from tests.kit.certs import Certs
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.faults import Fault, FaultProxy, black_hole
from tests.kit.k8s import wait_until
from tests.kit.load import load
from tests.kit.wire import CutShort, WireClient, dial, get


def echo(request: Received) -> Answer:
    return Answer(body=request.body or request.target.encode(), headers=(("X-Seen", "yes"),))


def test_a_downstream_serves_its_function_on_a_kept_connection() -> None:
    with Downstream(echo) as server, WireClient(server.port) as client:
        first = client.get("web", "/a", "X-One: 1")
        client.send(b"POST /b HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"3\r\nabc\r\n0\r\n\r\n")
        second = client.read()
        assert (first.status, first.body, first.get("x-seen")) == (200, b"/a", "yes")
        assert second.body == b"abc"
        assert [request.connection for request in server.requests] == [0, 0]
        assert server.requests[0].get("x-one") == "1"


def test_a_downstream_streams_chunks_and_trailers() -> None:
    answer = Answer(body=iter([b"a", b"b"]), trailers=(("X-Sum", "2"),))
    with Downstream(lambda _: answer) as server:
        reply = get(server.port, "web")
        assert (reply.body, reply.get("transfer-encoding")) == (b"ab", "chunked")
        assert reply.trailers == [(b"x-sum", b"2")]


def test_a_downstream_with_tls_notes_the_name_asked_for(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    server = Downstream(echo, context=certs.server("web.test"))
    with server, WireClient(server.port, certs.client(), "web.test") as client:
        assert client.get("web.test").body == b"/"
        assert server.server_names == ["web.test"]


def test_a_script_is_followed_for_each_connection() -> None:
    good = b"HTTP/1.1 204 No Content\r\n\r\n"
    with BadServer([[Until(), Reset()], [Until(), Send(good)]]) as server:
        with pytest.raises(ConnectionResetError):
            get(server.port, "web")
        assert get(server.port, "web").status == 204
        assert server.received[1].startswith(b"GET / HTTP/1.1\r\n")


def test_a_response_cut_short_is_not_taken_for_a_whole_one() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"
    with BadServer([[Until(), Send(cut)]]) as server, pytest.raises((CutShort, h11.ProtocolError)):
        get(server.port, "web")


def test_a_stalled_connection_ends_with_the_server() -> None:
    with BadServer([[Send(b"x"), Stall()]]) as server, WireClient(server.port) as client:
        assert client.sock.recv(1) == b"x"
        server.close()
        assert client.read_to_end() == b""


def test_only_loopback_can_be_reached() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(PermissionError, match=r"192\.0\.2\.1"),
    ):
        sock.connect(("192.0.2.1", 53))


def test_a_fault_proxy_passes_all_until_told_otherwise() -> None:
    with Downstream(echo) as server, FaultProxy(server.port) as way:
        assert get(way.port, "web", "/a").body == b"/a"
        wait_until(lambda: way.ended == way.accepted == 1)


def test_a_load_goes_on_until_the_end_of_its_block() -> None:
    with Downstream(echo) as server, load(server.port, clients=2) as replies:
        wait_until(lambda: len(replies) > 20)
    assert len(server.requests) == len(replies)
    assert {reply.body for reply in replies} == {b"/"}
    assert len(server.wire) > 4


def test_what_goes_wrong_under_load_is_raised_at_its_end() -> None:
    with (
        BadServer([[Until(), Reset()]]) as server,
        pytest.raises(ConnectionResetError),
        load(server.port),
    ):
        wait_until(lambda: server.ended)


@pytest.mark.parametrize("is_reset", [False, True])
def test_a_fault_proxy_cuts_where_it_is_told(is_reset: bool) -> None:
    cut = Fault(cut_after=10, is_reset=is_reset)
    with (
        Downstream(echo) as server,
        FaultProxy(server.port, down=cut) as way,
        WireClient(way.port) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        received = b""
        try:
            received = client.read_to_end()
        except ConnectionResetError:
            assert is_reset
        assert received == b"HTTP/1.1 2" or is_reset


def test_a_hole_in_a_fault_proxy_swallows_all() -> None:
    with (
        Downstream(echo) as server,
        FaultProxy(server.port, up=Fault(is_hole=True)) as way,
        WireClient(way.port) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_to_end() == b""
        assert server.requests == []


def test_nobody_gets_into_a_black_hole() -> None:
    with black_hole() as port, pytest.raises(TimeoutError):
        dial(("127.0.0.1", port), timeout_s=0.1)
