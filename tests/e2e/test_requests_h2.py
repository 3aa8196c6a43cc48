"""Whatever ends a request over HTTP/2 early is recorded with its cause, as for HTTP/1."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset

from meshproxy.client.h2.exchange import H2Exchange
from meshproxy.http.message import Request
from meshproxy.net.h2.inbound import Inbound
from meshproxy.server.h2.call import Call
from tests.e2e.test_requests import kept
from tests.kit.h2_endpoint import H2Endpoint, Peer
from tests.kit.h2_wire import GET, H2Wire
from tests.kit.k8s import wait_until
from tests.kit.objects import alive, without_collector
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient, dial

CONFIG = """
admin: {{port: 0}}
routers:
- protocol: {protocol}
  label: web
  dtab: |
    /svc/web => /$/inet/127.0.0.1/{port};
  {log}AccessLog: {access_log}
  {log}AccessLogFormat: json
  service: {{totalTimeoutMs: 300}}
  {client}
  servers: [{{ip: 127.0.0.1, port: 0, maxCallDepth: 2{limits}}}]
"""


def fields(path: str = "/", *more: tuple[str, str], method: str = "GET") -> Any:
    return ((":method", method), *GET[1:3], (":path", path), *more)


def script(peer: Peer, event: Event) -> None:
    """Do with a request what its path says."""
    if not isinstance(event, RequestReceived):
        return
    path = dict(event.headers)[":path"]
    if path == "/reset":
        peer.reset(event.stream_id, 7)
    elif path in {"/cut", "/endless"}:
        peer.head(event.stream_id)
        peer.send(event.stream_id, b"some")
        if path == "/cut":
            peer.reset(event.stream_id, 2)


class Running:
    """A proxy of HTTP/2 in front of an endpoint, and a client of it."""

    def __init__(self, endpoint: H2Endpoint, log: Path) -> None:
        self.endpoint = endpoint
        self._log = log
        self.proxy = Proxy(
            CONFIG.format(
                protocol="h2", port=endpoint.port, access_log=log, log="h2",
                client="grpcErrors: linkerd", limits=", maxHeaderListBytes: 16384",
            )
        )  # fmt: skip
        self.wire = H2Wire(dial(("127.0.0.1", self.proxy.port("web"))))

    def recorded(self) -> dict[str, Any]:
        """Return the only request that has been recorded, once it has."""
        wait_until(lambda: kept(self.proxy))
        (found,) = kept(self.proxy)
        return found

    def logged(self) -> dict[str, Any]:
        """Return the line of the access log."""
        wait_until(lambda: self._log.exists() and self._log.read_text())
        line: dict[str, Any] = json.loads(self._log.read_text())
        return line


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with H2Endpoint(script) as endpoint:
        one = Running(endpoint, tmp_path / "access.log")
        with one.proxy, one.wire.sock:
            yield one


@pytest.mark.parametrize(
    ("asked", "status", "reason", "why"),
    [
        (
            tuple(one for one in GET if one[0] != ":authority"),
            None,
            "unidentified",
            ":authority header is absent",
        ),
        (fields("/", ("l5d-dtab", "/svc =>")), 400, "bad_dtab", "end of input"),
        (fields("/", ("l5d-dtab", "/svc => /$/fail")), 502, "no_hosts", "/svc/web"),
        (
            fields("/", ("via", "1.1 a, 1.1 b, 1.1 c")),
            400,
            "max_call_depth",
            "Maximum number of calls (2)",
        ),
        (fields("/slow"), 503, "timeout", "0.3.seconds"),
        (fields("/reset"), None, "refused_stream", "REFUSED_STREAM"),
    ],
)
def test_a_request_that_gets_no_response_of_an_endpoint(
    running: Running, asked: Any, status: int | None, reason: str, why: str
) -> None:
    running.wire.ask(asked)
    found = running.recorded()
    assert (found["failed"], found["status"], found["reason"]) == (True, status, reason)
    assert why in found["why"]
    line = running.logged()
    assert (line["status"], line["reason"]) == (status, reason)
    assert why in line["l5d_err"]


def test_a_head_that_is_too_large_and_a_connect_that_is_malformed(running: Running) -> None:
    running.wire.ask(fields("/", ("large", "x" * 20_000)))
    running.wire.ask(fields("/", method="CONNECT"))
    wait_until(lambda: len(kept(running.proxy)) == 1)
    (found,) = kept(running.proxy)
    assert (found["status"], found["reason"]) == (431, "headers_too_large")
    assert found["client"].startswith("127.0.0.1:")
    assert "maxHeader" in found["why"]
    line = running.logged()
    assert (line["status"], line["reason"], line["version"]) == (431, "headers_too_large", "HTTP/2")


def test_a_body_that_the_endpoint_cuts(running: Running) -> None:
    running.wire.ask(fields("/cut"))
    found = running.recorded()
    assert (found["status"], found["reason"]) == (200, "cut")


@pytest.mark.parametrize(("path", "status"), [("/slow", None), ("/endless", 200)])
def test_a_client_that_leaves(running: Running, path: str, status: int | None) -> None:
    stream = running.wire.ask(fields(path))
    if status is not None:
        running.wire.until(DataReceived, stream)
    wait_until(lambda: any(peer.heads for peer in running.endpoint.peers))
    running.wire.h2.reset_stream(stream, 8)
    running.wire.flush()
    found = running.recorded()
    assert (found["status"], found["reason"]) == (status, "client_gone")
    assert "client" in found["why"]
    assert running.logged()["reason"] == "client_gone"


@pytest.mark.parametrize("path", ["/reset", "/cut", "/slow"])
def test_a_request_that_failed_leaves_nothing_to_the_garbage_collector(
    running: Running, path: str
) -> None:
    kinds = (Call, Request, H2Exchange, Inbound)
    running.wire.ask(fields(path))
    running.recorded()
    with without_collector():
        before = alive(*kinds)
        for _ in range(2):
            stream = running.wire.ask(fields(path))
            for event in running.wire.events():
                if getattr(event, "stream_id", None) == stream and isinstance(
                    event, StreamEnded | StreamReset
                ):
                    break
        wait_until(lambda: alive(*kinds) <= before)


def test_bytes_of_http_1_that_are_no_request(tmp_path: Path) -> None:
    text = CONFIG.format(
        protocol="http", port=9, access_log=tmp_path / "log", log="http", client="", limits=""
    )
    with Proxy(text) as proxy:
        with WireClient(proxy.port("web")) as client:
            client.send(b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            source = "{}:{}".format(*client.sock.getsockname())
            client.read_to_end()
        (found,) = kept(proxy)
    assert (found["method"], found["path"], found["status"]) == ("GET", "/a", 400)
    assert (found["reason"], found["client"]) == ("bad_request", source)
    assert "Host" in found["why"]
