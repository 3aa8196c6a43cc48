"""A router of HTTP/2 from its configuration to its endpoints."""

from pathlib import Path
from typing import Any

import gevent
import pytest
from h2.events import RequestReceived, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import read
from meshproxy.config.svc import GlobalSvcConfig, RetryBufferSizeConfig
from meshproxy.h2.errors import ErrorCode
from meshproxy.protocols.h2 import H2RouterConfig
from meshproxy.protocols.message_server import H2ServerConfig
from tests.kit.h2_endpoint import H2Endpoint, Peer
from tests.kit.h2_wire import GET, POST, H2Wire
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import dial

CALL = (*POST, ("content-type", "application/grpc"), ("te", "trailers"))
SERVER = "rt/h2/server/127.0.0.1/0"


class Router(Proxy):
    """A proxy with one h2 router to one port, and a client connected to it."""

    def __init__(self, port: int, *lines: str, server: str = "") -> None:
        more = "".join(f"  {line}\n" for line in lines)
        super().__init__(
            "admin: {port: 0}\nrouters:\n- protocol: h2\n"
            f"  dtab: /svc => /$/inet/127.0.0.1/{port}\n{more}  servers: [{{port: 0{server}}}]\n"
        )
        self._sock = dial(("127.0.0.1", super().port("h2")))
        self.client = H2Wire(self._sock)

    def close(self) -> None:
        self._sock.close()
        super().close()

    def ask(self, headers: Any = GET, body: bytes | None = None) -> dict[str, str]:
        """Return the head of the response."""
        stream_id = self.client.ask(headers, body)
        event = self.client.until((ResponseReceived, StreamReset), stream_id)
        assert isinstance(event, ResponseReceived), event
        return {str(name): str(value) for name, value in event.headers}

    def reset(self, headers: Any = GET) -> int:
        """Return the code by which the stream is reset."""
        event = self.client.until((ResponseReceived, StreamReset), self.client.ask(headers))
        assert isinstance(event, StreamReset), event
        return int(event.error_code or 0)


def test_a_request_goes_to_the_endpoint_of_its_authority() -> None:
    with H2Endpoint() as origin, Router(origin.port) as router:
        head = router.ask()
        assert (head[":status"], head["via"], head["l5d-success-class"]) == (
            "200",
            "2 linkerd",
            "1.0",
        )
        ((_, asked),) = origin.peers[0].heads.items()
        assert (asked[":authority"], asked["via"]) == ("web", "2 linkerd")
        assert asked["l5d-dst-service"] == "/svc/web"
        router.wait_count(SERVER, "stream/stream_success")


def test_trailers_come_through_and_say_how_it_turned_out() -> None:
    def answer(peer: Peer, event: object) -> None:
        if isinstance(event, RequestReceived):
            peer.head(event.stream_id, 200, ("content-type", "application/grpc"))
        elif isinstance(event, StreamEnded):
            peer.send(event.stream_id, b"x")
            peer.h2.send_headers(event.stream_id, (("grpc-status", "5"),), end_stream=True)
            peer.flush()

    service = "service: {responseClassifier: {kind: io.l5d.h2.grpc.default}}"
    with H2Endpoint(answer) as origin, Router(origin.port, service) as router:
        stream_id = router.client.ask(CALL, ends=False)
        router.client.until(ResponseReceived, stream_id)
        router.client.send(stream_id, b"", ends=True)
        trailers = router.client.until(TrailersReceived, stream_id)
        assert dict(trailers.headers) == {"grpc-status": "5", "l5d-success-class": "0.0"}
        assert origin.peers[0].heads[1]["te"] == "trailers"


def test_a_call_whose_trailers_say_unavailable_is_retried() -> None:
    statuses = iter(["14", "14", "0"])

    def answer(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            peer.reply(event.stream_id, b"x", trailers=(("grpc-status", next(statuses)),))

    service = "service: {responseClassifier: {kind: io.l5d.h2.grpc.default}}"
    with H2Endpoint(answer) as origin, Router(origin.port, service) as router:
        stream_id = router.client.ask(CALL, b"hello")
        trailers = router.client.until(TrailersReceived, stream_id)
        assert dict(trailers.headers)["grpc-status"] == "0"
        assert sorted(origin.peers[0].bodies.values()) == [b"hello"] * 3
        assert router.counts("rt/h2/service/svc/web", "retries/total") == [2]


def test_a_reset_of_the_endpoint_reaches_the_client() -> None:
    code = ErrorCode.ENHANCE_YOUR_CALM

    def answer(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            peer.reset(event.stream_id, code)

    with H2Endpoint(answer) as origin, Router(origin.port) as router:
        assert router.reset() == code
        assert router.reset(CALL) == code
        code = ErrorCode.FLOW_CONTROL_ERROR
        assert router.reset() == ErrorCode.INTERNAL_ERROR


def test_a_reset_within_the_body_comes_after_what_has_come() -> None:
    def answer(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            peer.head(event.stream_id)
            peer.send(event.stream_id, b"part")
            gevent.sleep(0)
            peer.reset(event.stream_id, ErrorCode.CANCEL)

    with H2Endpoint(answer) as origin, Router(origin.port) as router:
        stream_id = router.client.ask()
        assert router.client.until(ResponseReceived, stream_id)
        assert router.client.until(StreamReset, stream_id).error_code == ErrorCode.CANCEL
        router.wait_count(SERVER, "response/stream/failures/cut")


def test_a_reset_of_the_client_reaches_the_endpoint_with_its_code() -> None:
    with H2Endpoint(lambda *_: None) as origin, Router(origin.port) as router:
        stream_id = router.client.ask()
        wait_until(lambda: bool(origin.peers) and bool(origin.peers[0].heads))
        router.client.h2.reset_stream(stream_id, ErrorCode.ENHANCE_YOUR_CALM)
        router.client.flush()
        wait_until(lambda: bool(origin.peers[0].resets))
        assert list(origin.peers[0].resets.values()) == [ErrorCode.ENHANCE_YOUR_CALM]


def test_a_call_that_the_client_gives_up_is_no_failure_of_the_endpoint() -> None:
    def answer(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            peer.head(event.stream_id)

    service = "service: {responseClassifier: {kind: io.l5d.h2.grpc.neverRetryable}}"
    with H2Endpoint(answer) as origin, Router(origin.port, service) as router:
        stream_id = router.client.ask(CALL)
        router.client.until(ResponseReceived, stream_id)
        router.client.h2.reset_stream(stream_id, ErrorCode.CANCEL)
        router.client.flush()
        client = f"rt/h2/client/$/inet/127.0.0.1/{origin.port}"
        router.wait_count(client, "stream/failures/cancelled")
        assert router.counts(client, "failures", "cut_responses") == [0, 0]


def test_a_client_that_leaves_while_a_response_is_held_back_is_known_to_the_endpoint() -> None:
    def answer(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            peer.head(event.stream_id)

    service = (
        "service: {responseClassifier: {kind: io.l5d.h2.grpc.default}, "
        "classificationTimeoutMs: 60000}"
    )
    with H2Endpoint(answer) as origin, Router(origin.port, service) as router:
        stream_id = router.client.ask(CALL)
        scope = f"rt/h2/client/$/inet/127.0.0.1/{origin.port}"
        wait_until(lambda: router.counts(scope, "status/200") == [1])
        router.client.h2.reset_stream(stream_id, ErrorCode.CANCEL)
        router.client.flush()
        wait_until(lambda: bool(origin.peers[0].resets))
        router.wait_count(scope, "stream/failures/cancelled")


def test_what_nobody_can_name_is_refused() -> None:
    identifier = "identifier: {kind: io.l5d.header.token, header: x-name}"
    with Router(1, identifier) as router:
        assert router.reset() == ErrorCode.REFUSED_STREAM
        head = router.ask(CALL)
        assert (head[":status"], head["grpc-status"]) == ("200", "14")
        assert "x-name header is absent" in head["grpc-message"]


def test_errors_are_responses_and_grpc_has_its_status() -> None:
    with H2Endpoint() as origin:
        port = origin.port
    with Router(port) as router:
        assert router.ask()[":status"] == "502"
        head = router.ask(CALL)
        assert (head[":status"], head["content-type"], head["grpc-status"]) == (
            "200",
            "application/grpc",
            "14",
        )
    with Router(port, "grpcErrors: linkerd") as router:
        assert router.ask(CALL)[":status"] == "502"


def test_a_total_timeout_is_a_503_and_deadline_exceeded() -> None:
    with (
        H2Endpoint(lambda *_: None) as origin,
        Router(origin.port, "service: {totalTimeoutMs: 50}") as router,
    ):
        assert router.ask()[":status"] == "503"
        assert router.ask(CALL)["grpc-status"] == "4"


def test_more_proxies_than_allowed_are_a_400() -> None:
    with Router(1, server=", maxCallDepth: 2") as router:
        assert router.ask((*GET, ("via", "1.1 a, 1.1 b, 2 c")))[":status"] == "400"


def test_requests_over_the_limit_are_refused() -> None:
    with (
        H2Endpoint(lambda *_: None) as origin,
        Router(origin.port, server=", maxConcurrentRequests: 1") as router,
    ):
        router.client.ask()
        wait_until(lambda: bool(origin.peers) and bool(origin.peers[0].heads))
        assert router.reset() == ErrorCode.REFUSED_STREAM


def test_endpoints_are_told_what_the_client_s_keys_say() -> None:
    client = "client: {initialStreamWindowBytes: 70000, maxFrameBytes: 20000}"
    with H2Endpoint() as origin, Router(origin.port, client) as router:
        router.ask()
        settings = origin.peers[0].h2.remote_settings
        assert (settings.initial_window_size, settings.max_frame_size) == (70_000, 20_000)


def test_the_access_log_has_a_line_for_each_stream(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    with H2Endpoint() as origin, Router(origin.port, f"h2AccessLog: {file}") as router:
        stream_id = router.client.ask((*GET, ("user-agent", "me")))
        assert router.client.body(stream_id) == b"ok"
        wait_until(lambda: file.exists() and bool(file.read_text()))
    line = file.read_text()
    assert line.startswith("web 127.0.0.1 - - [")
    assert line.endswith('"GET / HTTP/2" 200 2 "-" "me"\n')


def test_without_keys_there_are_linkerd_s_defaults() -> None:
    (router,) = read("routers: [{protocol: h2, servers: [{}]}]", "f").config.routers
    assert isinstance(router, H2RouterConfig)
    (server,) = router.servers
    assert isinstance(server, H2ServerConfig)
    assert (router.name, server.port, server.ip) == ("h2", 4142, "127.0.0.1")
    assert (server.max_concurrent_streams_per_connection, server.max_call_depth) == (1000, 1000)
    assert router.access_log is None
    assert [getattr(one, "header", None) for one in router.identifiers()] == [":authority"]


def test_as_much_of_a_body_is_held_as_any_service_asks_for() -> None:
    assert H2RouterConfig().limits().replay_bytes == 16_383
    service = GlobalSvcConfig(retry_buffer_size=RetryBufferSizeConfig(request_bytes=70_000))
    assert H2RouterConfig(service=service).limits().replay_bytes == 70_000


def test_workers_do_not_roll_the_log() -> None:
    router = H2RouterConfig(h2_access_log="a.log", h2_access_log_append=False)
    settings = router.for_worker().access_log
    assert settings is not None
    assert settings.append


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("httpAccessLog: a", "httpAccessLog: unknown key, for h2 it is h2AccessLog"),
        ("maxHeadersKB: 8", "unknown key, for h2 it is maxHeaderListBytes, under servers"),
        ("maxFrameBytes: 16384", "unknown key, it belongs under client or servers"),
        ("service: {retryBufferKB: 1}", "service.retryBufferKB: only http has this, remove it"),
        ("servers: [{timestampHeader: x}]", "servers[0].timestampHeader: only http has this"),
        (
            "service: {responseClassifier: {kind: io.l5d.http.nonRetryable5XX}}",
            "service.responseClassifier.kind: io.l5d.http.nonRetryable5XX is a kind of http alone",
        ),
        ("identifier: {kind: io.l5d.path}", "identifier.kind: io.l5d.path is a kind of http alone"),
    ],
)
def test_what_is_of_http_alone_is_refused(line: str, error: str) -> None:
    servers = "" if line.startswith("servers") else "  servers: [{}]\n"
    with pytest.raises(ConfigErrors) as caught:
        read(f"routers:\n- protocol: h2\n{servers}  {line}\n", "f")
    assert error in str(caught.value)
