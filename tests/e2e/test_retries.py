"""What is sent again, with which body, and what is not; and when a client is told to go on."""

from pathlib import Path

import pytest
from gevent import socket

from tests.kit.badserver import BadServer, Send, Until
from tests.kit.closing import Closing
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- {{kind: io.l5d.fs, rootDir: {folder}}}
routers:
- protocol: http
  dtab: /svc => /#/io.l5d.fs
  service: {{responseClassifier: {{kind: {classifier}}}{service}}}
  {router}
  servers:
  - {{port: 0, ip: 127.0.0.1{server}}}
"""
ALL = "io.l5d.http.retryableAll5XX"


class Flaky:
    """Answers the first *failures* requests with 503, and the next with their bodies."""

    def __init__(self, failures: int = 1) -> None:
        self.failures = failures

    def __call__(self, request: Received) -> Answer:
        self.failures -= 1
        return Answer(503) if self.failures >= 0 else Answer(body=request.body)


class World(Closing):
    """A proxy whose only name, `web`, is at *ports*."""

    def __init__(self, folder: Path, *ports: int, **more: str) -> None:
        (folder / "web").write_text("".join(f"127.0.0.1 {port}\n" for port in ports))
        settings = {"classifier": ALL, "service": "", "router": "", "server": ""} | more
        self.proxy = Proxy(CONFIG.format(folder=folder, **settings))

    def close(self) -> None:
        """Stop the proxy."""
        self.proxy.close()

    def send(self, body: bytes, *, chunked: bool = False, method: str = "POST") -> Reply:
        """Send *body* in two parts, the second when the first has been taken."""
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        half = len(body) // 2
        parts = [body[:half], body[half:]]
        if chunked:
            parts = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part] + [b"0\r\n\r\n"]
        with WireClient(self.proxy.port()) as client:
            head = f"{method} / HTTP/1.1\r\nHost: web\r\n{framing}\r\n\r\n"
            client.send(head.encode() + parts[0])
            client.send(b"".join(parts[1:]))
            return client.read(method.encode())

    def counter(self, name: str) -> float:
        return self.proxy.metrics()[f"rt/http/{name}"]


BODY = bytes(range(256)) * 400


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("size", "router", "service", "is_kept"),
    [
        (5120, "", "", True),
        (5121, "", "", False),
        (1024, "", ", retryBufferKB: 1", True),
        (1025, "", ", retryBufferKB: 1", False),
        (1, "", ", retryBufferKB: 0", False),
        (65_536, "streamAfterContentLengthKB: 100", "", True),
        (65_537, "streamAfterContentLengthKB: 100", "", False),
        (102_400, "streamAfterContentLengthKB: 100", ", retryBufferKB: 100", True),
        (1, "streamAfterContentLengthKB: 0", "", False),
    ],
)
def test_a_body_is_sent_again_while_it_is_kept(
    size: int, router: str, service: str, tmp_path: Path, *, is_kept: bool, chunked: bool
) -> None:
    with (
        Downstream(Flaky()) as origin,
        World(tmp_path, origin.port, router=router, service=service) as world,
    ):
        reply = world.send(BODY[:size], chunked=chunked)
    bodies = [one.body for one in origin.requests]
    assert bodies == [BODY[:size]] * (2 if is_kept else 1)
    assert (reply.status, reply.body) == ((200, BODY[:size]) if is_kept else (503, b""))


def test_a_body_may_be_sent_several_times(tmp_path: Path) -> None:
    with Downstream(Flaky(5)) as origin, World(tmp_path, origin.port) as world:
        assert world.send(b"body", chunked=True).body == b"body"
        assert world.counter("service/svc/web/retries/total") == 5
    assert [one.body for one in origin.requests] == [b"body"] * 6


@pytest.mark.parametrize(
    ("classifier", "methods"),
    [
        ("io.l5d.http.nonRetryable5XX", ""),
        ("io.l5d.http.retryableRead5XX", "GET HEAD OPTIONS TRACE"),
        ("io.l5d.http.retryableIdempotent5XX", "GET HEAD OPTIONS TRACE PUT DELETE"),
        (ALL, "GET HEAD OPTIONS TRACE PUT DELETE POST PATCH"),
        ("io.l5d.http.allSuccessful", ""),
    ],
)
def test_only_the_methods_of_the_classifier_are_sent_again(
    classifier: str, methods: str, tmp_path: Path
) -> None:
    known = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "PATCH", "PROPFIND"]
    again = []
    with (
        Downstream(flaky := Flaky()) as origin,
        World(tmp_path, origin.port, classifier=classifier) as world,
    ):
        for method in known:
            flaky.failures = 1
            if world.send(b"", method=method).status == 200:
                again.append(method)
    assert again == methods.split()


# --- what was never delivered ---


def closed_port() -> int:
    with Downstream(lambda _: b"") as gone:
        return gone.port


@pytest.mark.parametrize("chunked", [False, True])
def test_a_long_body_goes_elsewhere_while_none_of_it_was_read(
    tmp_path: Path, *, chunked: bool
) -> None:
    with (
        Downstream(Flaky(0)) as origin,
        World(tmp_path, origin.port, closed_port(), closed_port()) as world,
    ):
        for _ in range(10):
            assert world.send(BODY, chunked=chunked).body == BODY
    assert [one.body for one in origin.requests] == [BODY] * 10


NACK = b"HTTP/1.1 503 No\r\nfinagle-http-nack: true\r\nContent-Length: 0\r\n\r\n"


def test_a_refusal_of_one_endpoint_is_taken_to_another(tmp_path: Path) -> None:
    settings = {"classifier": "io.l5d.http.nonRetryable5XX"}
    with (
        Downstream(Flaky(0)) as origin,
        BadServer([[Until(), Send(NACK)]]) as refusing,
        World(tmp_path, origin.port, refusing.port, **settings) as world,
    ):
        for _ in range(10):
            assert world.send(b"body").status == 200
    assert [one.body for one in origin.requests] == [b"body"] * 10


# --- Expect ---

EXPECTING = b"POST / HTTP/1.1\r\nHost: %b\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"


def test_a_client_is_told_to_go_on_once_however_often_its_body_is_sent(tmp_path: Path) -> None:
    with (
        Downstream(Flaky()) as origin,
        World(tmp_path, origin.port) as world,
        WireClient(world.proxy.port()) as client,
    ):
        client.send(EXPECTING % b"web")
        assert client.sock.recv(25, socket.MSG_PEEK) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"body")
        reply = client.read()
        assert client.get("web").status == 200
    assert (reply.informational, reply.status, reply.body) == ([100], 200, b"body")
    assert [(one.get("expect"), one.body) for one in origin.requests[:2]] == [(None, b"body")] * 2


def test_a_client_learns_of_an_error_before_it_sends_its_body(tmp_path: Path) -> None:
    with World(tmp_path, closed_port()) as world:
        for host, status in ((b"nowhere", 502), (b"web", 502), (b"a b", 400)):
            with WireClient(world.proxy.port()) as client:
                client.send(EXPECTING % host)
                reply = client.read()
                assert (reply.informational, reply.status) == ([], status)
                assert client.read_to_end() == b""


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST / HTTP/1.0\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", 200),
        (b"POST / HTTP/1.0\r\nHost: web\r\nExpect: more\r\nContent-Length: 4\r\n\r\n", 200),
        (b"POST / HTTP/1.1\r\nHost: web\r\nExpect: more\r\nContent-Length: 4\r\n\r\n", 417),
    ],
)
def test_others_are_not_told_to_go_on(head: bytes, status: int, tmp_path: Path) -> None:
    with (
        Downstream(Flaky(0)) as origin,
        World(tmp_path, origin.port) as world,
        WireClient(world.proxy.port()) as client,
    ):
        client.send(head + b"body")
        reply = client.read()
    assert (reply.informational, reply.status) == ([], status)
    assert len(origin.requests) == (status == 200)


def test_a_client_that_ends_instead_of_going_on_sends_nothing(tmp_path: Path) -> None:
    with Downstream(Flaky(0)) as origin, World(tmp_path, origin.port) as world:
        with WireClient(world.proxy.port()) as client:
            client.send(EXPECTING % b"web")
            client.sock.shutdown(socket.SHUT_WR)
            assert client.read().status == 400
        assert origin.requests == []
