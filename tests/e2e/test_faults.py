"""What a client gets when an endpoint breaks, and what must not happen then."""

import h11
import pytest

from tests.e2e.test_routing import config
from tests.kit.badserver import BadServer, Reset, Script, Send, Stall, Until
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import CutShort, WireClient, get

GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answered(script: Script, raw: bytes = GET, more: str = "") -> tuple[int, str | None, int]:
    """Return status, l5d-err, and how many connections the endpoint saw."""
    with BadServer([script]) as endpoint, Proxy(config(endpoint.port, more)) as proxy:
        with WireClient(proxy.port()) as client:
            client.send(raw)
            reply = client.read(raw.partition(b" ")[0])
        return reply.status, reply.get("l5d-err"), len(endpoint.received)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([Until(), Reset()], id="reset before the answer"),
        pytest.param([Until()], id="end before the answer"),
        pytest.param([Until(), Send(b"HTTP/1.1 200 OK\r\nContent-Le")], id="end in the head"),
        pytest.param([Until(), Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")], id="another protocol"),
        pytest.param([Until(), Send(b"\x15\x03\x01\x00\x02\x02\x16"), Stall()], id="TLS"),
        pytest.param(
            [Until(), Send(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n")],
            id="too large a head",
        ),
        pytest.param(
            [Until(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")],
            id="two lengths",
        ),
        pytest.param([Until(), Send(b"HTTP/1.1 103 Early\r\n\r\n" * 500)], id="endless 1xx"),
    ],
)
def test_a_broken_answer_is_a_502(script: Script) -> None:
    status, error, _ = answered(script, POST)
    assert status == 502
    assert error


def test_a_post_is_not_sent_twice() -> None:
    assert answered([Until(b"body"), Reset()], POST)[2] == 1


def test_a_refused_connection_is_a_502_that_may_be_retried() -> None:
    with Downstream(lambda _: b"") as gone:
        port = gone.port
    with Proxy(config(port)) as proxy:
        reply = get(proxy.port(), "web")
    assert (reply.status, reply.get("l5d-retryable")) == (502, "true")
    assert str(port).encode() in reply.body


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n",
    ],
    ids=["a length", "chunks", "a bad chunk"],
)
def test_a_body_cut_short_is_visibly_cut_short(head: bytes) -> None:
    with (
        BadServer([[Until(), Send(head)]]) as endpoint,
        Proxy(config(endpoint.port)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(GET)
        with pytest.raises((CutShort, ConnectionResetError, h11.RemoteProtocolError)):
            client.read()


def test_a_stale_connection_is_replaced_for_a_request_that_may_be_repeated() -> None:
    kept_then_closed = [Until(), Send(OK), Until(), Reset()]
    with (
        BadServer([kept_then_closed, [Until(), Send(OK)]]) as endpoint,
        Proxy(config(endpoint.port)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        assert [client.get("web").status for _ in range(2)] == [200, 200]
        assert len(endpoint.received) == 2


def test_residue_after_an_answer_is_given_to_nobody() -> None:
    with (
        BadServer([[Until(), Send(OK + OK), Until(), Send(OK)]]) as endpoint,
        Proxy(config(endpoint.port)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        assert [client.get("web").body for _ in range(2)] == [b"ok", b"ok"]
        assert len(endpoint.received) == 2


def test_a_stalled_answer_ends_with_the_attempt_timeout() -> None:
    status, error, _ = answered([Until(), Stall()], GET, "  client: {requestAttemptTimeoutMs: 50}")
    assert status == 503
    assert error


def test_a_stalled_answer_ends_with_the_total_timeout() -> None:
    status, error, _ = answered([Until(), Stall()], GET, "  service: {totalTimeoutMs: 50}")
    assert status == 503
    assert error


def test_an_early_answer_to_a_long_request_is_passed_on() -> None:
    early = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with (
        BadServer([[Until(), Send(early), Stall()]]) as endpoint,
        Proxy(config(endpoint.port)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(
            b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000
        )
        assert client.read(b"POST").status == 413


def test_a_client_that_leaves_in_its_request_leaves_no_complete_one() -> None:
    head = b"POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n"
    with BadServer([[Until(b"never")]]) as endpoint, Proxy(config(endpoint.port)) as proxy:
        with WireClient(proxy.port()) as client:
            client.send(head + b"3\r\nabc\r\n")
            wait_until(lambda: endpoint.received and endpoint.received[0].endswith(b"abc\r\n"))
        wait_until(lambda: endpoint.ended)
        assert len(endpoint.received) == 1
        assert not endpoint.received[0].endswith(b"0\r\n\r\n")
