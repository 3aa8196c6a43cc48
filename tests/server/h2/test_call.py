"""One request and its response: bodies both ways, errors, and resets from either side."""

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event
from gevent.select import select
from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from meshproxy.errors import BadResponse, ClientGone, ConnectionClosed
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import ClientReset
from meshproxy.h2.reset import StreamReset as ResetByEndpoint
from meshproxy.http.headers import Headers, of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response, text_response
from meshproxy.net.h2.inbound import Inbound
from meshproxy.net.h2.memory import memory
from meshproxy.net.h2.outbound import Outbound
from meshproxy.net.h2.whole import Whole
from meshproxy.server.h2.call import Call
from meshproxy.server.h2.session import ServerSession
from meshproxy.service import Service
from tests.kit.certs import Certs
from tests.kit.h2_serving import H2Serving, serving_h2
from tests.kit.h2_wire import GET, POST, H2Wire, until
from tests.kit.objects import alive, without_collector
from tests.kit.wire import WAIT_S

LONG = bytes(range(256)) * 1000


class Waiting:
    """A body of an HTTP/1 endpoint that says nothing."""

    length = None
    trailers = None
    has_piece = False

    def read(self) -> bytes:
        gevent.sleep(WAIT_S)
        raise AssertionError("nobody has waited for it")

    def __iter__(self) -> Iterator[bytes]:
        yield self.read()

    def close(self) -> None:
        """Do nothing."""


class Pieces:
    """A body of an HTTP/1 endpoint; the last piece may be an error."""

    length = None
    has_piece = False

    def __init__(self, *pieces: bytes | Exception, trailers: Headers | None = None) -> None:
        self._pieces = list(pieces)
        self.trailers = trailers
        self.is_closed = False

    def read(self) -> bytes | memoryview | None:
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return memoryview(bytearray(piece))

    def __iter__(self) -> Iterator[bytes | memoryview]:
        while piece := self.read():
            yield piece

    def close(self) -> None:
        self.is_closed = True


def head(wire: H2Wire, stream_id: int) -> dict[str, str]:
    """Return the fields of a response."""
    return dict(wire.until(ResponseReceived, stream_id).headers)


def test_a_request_as_filters_see_it() -> None:
    seen: list[Request] = []

    def service(request: Request) -> Response:
        seen.append(request)
        return text_response(200, "ok")

    with serving_h2(service) as server, server.client() as wire:
        fields = (
            *GET[:3],
            (":path", "/a?b"),
            ("cookie", "a=1"),
            ("x-name", "v"),
            ("cookie", "b=2"),
        )
        assert wire.body(wire.ask(fields)) == b"ok"
        (request,) = seen
        assert (request.method, request.target, request.version) == (b"GET", b"/a?b", b"2")
        assert list(request.headers.items()) == [
            (b"host", b"web"),
            (b"x-name", b"v"),
            (b"cookie", b"a=1; b=2"),
        ]
        assert request.scheme == b""
        assert request.body is None
        assert request.peer is not None
        assert request.peer.remote.startswith("127.0.0.1:")
        assert request.peer.certificate is None


def test_a_response_has_length_and_date() -> None:
    with serving_h2() as server, server.client() as wire:
        fields = head(wire, wire.ask())
        assert fields[":status"] == "200"
        assert fields["content-length"] == "2"
        assert "date" in fields


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_a_response_without_a_body(method: str, status: int) -> None:
    def service(_: Request) -> Response:
        return Response(status, b"", of((b"Content-Length", b"5")), Pieces(b"wrong"))

    with serving_h2(service) as server, server.client() as wire:
        stream = wire.ask(((":method", method), *GET[1:]))
        wire.until(ResponseReceived, stream)
        assert wire.body(stream) == b""


@pytest.mark.parametrize("size", [0, 1, 65535, len(LONG), 3_000_000])
def test_a_body_in_bytes(size: int) -> None:
    body = (LONG * 12)[:size]
    with (
        serving_h2(lambda _: Response(200, b"", Headers(), body)) as server,
        server.client() as wire,
    ):
        assert wire.body(wire.ask()) == body
        assert wire.body(wire.ask()) == body


def test_a_body_in_pieces_with_trailers() -> None:
    body = Pieces(b"one", LONG, trailers=of((b"X-Sum", b"7")))
    with (
        serving_h2(lambda _: Response(200, b"", Headers(), body)) as server,
        server.client(window=1 << 20) as wire,
    ):
        stream = wire.ask()
        assert wire.until(TrailersReceived, stream).headers == [("x-sum", "7")]
        until(lambda: body.is_closed)


def test_a_body_that_the_endpoint_cuts_short() -> None:
    for error, code in (
        (ConnectionClosed("gone"), ErrorCode.INTERNAL_ERROR),
        (ResetByEndpoint("reset", ErrorCode.ENHANCE_YOUR_CALM), ErrorCode.ENHANCE_YOUR_CALM),
        (ResetByEndpoint("reset", 99), ErrorCode.INTERNAL_ERROR),
    ):
        body = Pieces(b"some", error)
        with (
            serving_h2(lambda _, body=body: Response(200, b"", Headers(), body)) as server,
            server.client() as wire,
        ):
            stream = wire.ask()
            assert wire.until(DataReceived, stream).data == b"some"
            assert wire.until(StreamReset, stream).error_code == code
            assert body.is_closed
            assert server.count("stream", "local", "reset") == 1


def echo(request: Request) -> Response:
    """Answer with what came, piece by piece as it comes."""
    assert request.body is not None
    return Response(200, b"", Headers(), request.body)


def read_all(request: Request) -> Response:
    """Answer with the length of what came, and its trailers."""
    assert request.body is not None
    size = sum(len(piece) for piece in request.body)
    trailers = request.body.trailers
    return text_response(200, f"{size} {list(trailers.items()) if trailers else ''}")


def test_a_request_body_is_read() -> None:
    with serving_h2(read_all) as server, server.client() as wire:
        stream = wire.ask(POST, b"hello")
        assert wire.body(stream) == b"5 "
        stream = wire.ask(POST, b"hello", ends=False)
        wire.h2.send_headers(stream, [("a", "b")], end_stream=True)
        wire.flush()
        assert wire.body(stream) == b"5 [(b'a', b'b')]"


def test_a_body_of_the_same_read_is_whole_when_the_service_sees_it() -> None:
    seen: list[bool] = []

    def service(request: Request) -> Response:
        assert type(request.body) is Whole
        assert request.body.length is None
        seen.append(request.body.is_complete)
        return read_all(request)

    with serving_h2(service) as server, server.connect() as sock:
        wire = H2Wire(sock)
        wire.h2.send_headers(1, POST)
        wire.h2.send_data(1, b"hello", end_stream=True)
        wire.flush()
        assert wire.body(1) == b"5 "
        assert seen == [True]


@pytest.mark.parametrize("most", [4, 5])
def test_a_body_of_the_same_read_may_be_too_long(most: int) -> None:
    limits = Limits(body_bytes=most)
    with serving_h2(read_all, limits) as server, server.connect() as sock:
        wire = H2Wire(sock)
        wire.h2.send_headers(1, POST)
        wire.h2.send_data(1, b"hello", end_stream=True)
        wire.flush()
        head = wire.until(ResponseReceived)
        assert dict(head.headers)[":status"] == ("200" if most == 5 else "413")


def test_trailers_without_a_body_reach_the_service() -> None:
    with serving_h2(read_all) as server, server.connect() as sock:
        wire = H2Wire(sock)
        wire.h2.send_headers(1, POST)
        wire.h2.send_headers(1, [("a", "b")], end_stream=True)
        wire.flush()
        assert wire.body(1) == b"0 [(b'a', b'b')]"


def test_both_bodies_at_once() -> None:
    with serving_h2(echo) as server, server.client() as wire:
        stream = wire.ask(POST, ends=False)
        for piece in (b"ping", b"pong"):
            wire.send(stream, piece)
            assert wire.until(DataReceived, stream).data == piece
        wire.send(stream, b"", ends=True)
        wire.until(StreamEnded, stream)
        assert server.session.engine.open_streams == 0


def test_a_client_that_still_sends_is_told_to_stop() -> None:
    def early(_: Request) -> Response:
        return text_response(403, "no")

    with serving_h2(early) as server, server.client() as wire:
        stream = wire.ask(POST, b"some", ends=False)
        assert wire.until(DataReceived, stream).data == b"no"
        assert wire.until(StreamReset, stream).error_code == ErrorCode.NO_ERROR
        assert wire.body(wire.ask(POST, b"x")) == b"no"


def test_what_nobody_read_does_not_narrow_the_connection() -> None:
    """The connection's window must come back, whatever became of the streams."""
    with serving_h2() as server, server.client() as wire:
        for _ in range(10):
            stream = wire.ask(POST, ends=False)
            wire.fill(stream) if wire.h2.local_flow_control_window(stream) < 40_000 else None
            wire.send(stream, bytes(min(30_000, wire.h2.local_flow_control_window(stream))))
            wire.until(StreamReset, stream)
            wire.glance()
        engine = server.session.engine
        assert engine._receive_window >= 65535 // 2


def test_a_client_that_waits_for_100_continue() -> None:
    with serving_h2(read_all) as server, server.client() as wire:
        stream = wire.ask((*POST, ("expect", "100-continue")), ends=False)
        assert wire.until(InformationalResponseReceived, stream).headers[0] == (":status", "100")
        wire.send(stream, b"hello", ends=True)
        assert wire.body(stream) == b"5 "
        stream = wire.ask((*POST, ("expect", "a miracle")), b"x")
        assert head(wire, stream)[":status"] == "417"


@pytest.mark.parametrize(
    ("fields", "body", "limits", "status"),
    [
        ((*GET, ("x", "y" * 9000)), None, Limits(), "431"),
        ((*GET[:3], (":path", "/" + "p" * 5000)), None, Limits(), "414"),
        ((*POST, ("content-length", "11")), b"x" * 11, Limits(body_bytes=10), "413"),
        (POST, b"x" * 11, Limits(body_bytes=10), "413"),
    ],
    ids=["fields", "path", "announced", "body"],
)
def test_a_request_over_a_limit(
    fields: tuple[tuple[str, str], ...], body: bytes | None, limits: Limits, status: str
) -> None:
    def service(request: Request) -> Response:
        return read_all(request) if request.body is not None else text_response(200, "ok")

    with serving_h2(service, limits) as server, server.client() as wire:
        fields_ = head(wire, wire.ask(fields, body))
        assert fields_[":status"] == status
        assert "l5d-err" in fields_
        assert wire.body(wire.ask()) == b"ok"
        assert server.count("open_streams") == 0


def is_full(session: ServerSession) -> bool:
    """Return whether the kernel takes no more of a session's bytes."""
    return session.is_blocked and not select([], [session.stream.sock], [], 0)[1]


def informing(*responses: tuple[int, Headers]) -> Service[Request, Response]:
    """Return a service that tells of informational responses first."""

    def service(request: Request) -> Response:
        for status, headers in responses:
            request.inform(status, headers)
        return text_response(200, "ok")

    return service


def informed(wire: H2Wire, stream_id: int) -> list[dict[str, str]]:
    """Return the informational responses before the final one."""
    found = []
    for event in wire.events():
        if isinstance(event, InformationalResponseReceived):
            found.append({str(name): str(value) for name, value in event.headers or ()})
        if isinstance(event, ResponseReceived):
            assert event.stream_id == stream_id
            break
    return found


def test_informational_responses_are_passed_on_without_fields_of_hop_or_mesh() -> None:
    link = (b"Link", b"</style.css>; rel=preload")
    hints = of(link, (b"Connection", b"x-hop"), (b"X-Hop", b"1"), (b"l5d-reqid", b"2"))
    with serving_h2(informing((103, hints), (102, Headers()))) as server, server.client() as wire:
        stream = wire.ask()
        assert informed(wire, stream) == [
            {":status": "103", "link": "</style.css>; rel=preload"},
            {":status": "102"},
        ]
        assert wire.body(stream) == b"ok"


@pytest.mark.parametrize(
    ("status", "headers", "more"),
    [
        pytest.param(100, Headers(), (), id="100 is ours to send"),
        pytest.param(103, of((b"Content-Length", b"5")), (), id="with a length"),
        pytest.param(103, Headers(), (("content-type", "application/grpc"),), id="gRPC"),
    ],
)
def test_an_informational_response_may_be_left_out(
    status: int, headers: Headers, more: tuple[tuple[str, str], ...]
) -> None:
    with serving_h2(informing((status, headers))) as server, server.client() as wire:
        assert informed(wire, wire.ask((*GET, *more))) == []


def test_informational_responses_have_the_bytes_of_one_head_together() -> None:
    hints = [(103, of((b"Link", b"x" * 1000))) for _ in range(64)]
    with (
        serving_h2(informing(*hints), limits=Limits(header_bytes=8192)) as server,
        server.client() as wire,
    ):
        assert len(informed(wire, wire.ask())) == 7


def test_informational_responses_do_not_wait_for_a_client_that_does_not_read() -> None:
    go_on, was_blocked = Event(), []

    def service(request: Request) -> Response:
        if request.target == b"/long":
            return Response(200, b"OK", Headers(), LONG * 100)
        go_on.wait(WAIT_S)
        was_blocked.append(server.session.is_blocked)
        request.inform(103, Headers())
        return text_response(200, "ok")

    with serving_h2(service) as server, server.client(window=1 << 30) as wire:
        stream = wire.ask()
        wire.ask((*GET[:3], (":path", "/long")))
        until(lambda: any(map(is_full, server.sessions)))
        go_on.set()
        until(lambda: bool(was_blocked))
        seen = []
        for event in wire.events():
            seen.append(type(event))
            if isinstance(event, StreamEnded) and event.stream_id == stream:
                break
        assert was_blocked == [True]
        assert InformationalResponseReceived not in seen


def test_a_body_that_stops_arriving() -> None:
    with serving_h2(read_all, Limits(read_idle=0.05)) as server, server.client() as wire:
        assert head(wire, wire.ask(POST, b"x", ends=False))[":status"] == "408"


def test_a_service_may_reset_the_stream() -> None:
    def service(_: Request) -> Response:
        raise ResetByEndpoint("refused", ErrorCode.REFUSED_STREAM)

    def unguarded(server: H2Serving) -> None:
        protocol = server.listener._parameters.protocol
        object.__setattr__(protocol, "service", service)

    with serving_h2() as server:
        unguarded(server)
        with server.client() as wire:
            assert wire.until(StreamReset, wire.ask()).error_code == ErrorCode.REFUSED_STREAM
            assert server.count("open_streams") == 0


def test_a_fault_of_ours_resets_the_stream_alone(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def service(request: Request) -> Response:
        if request.target == b"/fault":
            return Response(200, b"", Headers(), Pieces(b"x", ValueError("for the log")))
        return text_response(200, "ok")

    with serving_h2(service) as server, server.client() as wire:
        stream = wire.ask((*GET[:3], (":path", "/fault")))
        other = wire.ask()
        assert wire.until(StreamReset, stream).error_code == ErrorCode.INTERNAL_ERROR
        assert wire.body(other) == b"ok"
        told = caplog.text or capsys.readouterr().err  # where a proxy has run before, it logs these
        assert "for the log" in told


class Waits:
    """A service that waits until it is told, and notes how its wait ended."""

    def __init__(self) -> None:
        self.ends: list[object] = []
        self.is_waiting = False
        self.may_go_on = Event()

    def __call__(self, request: Request) -> Response:
        if request.target == b"/now":
            return text_response(200, "now")
        self.is_waiting = True
        try:
            self.may_go_on.wait()
        except ClientGone as error:
            self.ends.append(error)
            raise
        return text_response(200, "at last")


def test_a_reset_reaches_the_service_with_its_code() -> None:
    service = Waits()
    with serving_h2(service) as server, server.client() as wire:
        stream = wire.ask()
        until(lambda: service.is_waiting)
        wire.h2.reset_stream(stream, ErrorCode.ENHANCE_YOUR_CALM)
        wire.flush()
        until(lambda: service.ends)
        (error,) = service.ends
        assert isinstance(error, ClientReset)
        assert error.code == ErrorCode.ENHANCE_YOUR_CALM
        assert server.count("stream", "remote", "reset") == 1
        until(lambda: server.count("open_streams") == 0)
        assert wire.body(wire.ask((*GET[:3], (":path", "/now")))) == b"now"


def test_a_client_that_goes_ends_all_its_requests() -> None:
    service = Waits()
    with serving_h2(service) as server, server.client() as wire:
        for _ in range(3):
            wire.ask()
        until(lambda: server.count("open_streams") == 3)
        wire.sock.close()
        until(lambda: len(service.ends) == 3)
        until(lambda: server.count("open_streams") == 0)
        until(lambda: server.count("client_aborts") == 1)


def test_a_reset_of_a_request_that_has_not_begun_begins_nothing() -> None:
    service = Waits()
    with serving_h2(service) as server, server.connect() as sock:
        wire = H2Wire(sock)
        wire.h2.send_headers(1, GET, end_stream=True)
        wire.h2.reset_stream(1)
        wire.h2.send_headers(3, (*GET[:3], (":path", "/now")), end_stream=True)
        wire.flush()
        assert wire.body(3) == b"now"
        assert not service.is_waiting
        assert server.count("open_streams") == 0


def test_a_reset_while_a_body_waits_for_its_window() -> None:
    body = Pieces(*[LONG] * 3)
    with (
        serving_h2(lambda _: Response(200, b"", Headers(), body)) as server,
        server.client() as wire,
    ):
        stream = wire.ask()
        wire.until(DataReceived, stream)
        wire.h2.reset_stream(stream)
        wire.flush()
        until(lambda: body.is_closed)
        assert server.session.engine.open_streams == 0


def test_a_reset_while_the_endpoint_is_silent() -> None:
    class Silent(Pieces):
        def read(self) -> bytes | memoryview | None:
            gevent.sleep(1000)
            raise BadResponse("never")

    body = Silent()
    with (
        serving_h2(lambda _: Response(200, b"", Headers(), body)) as server,
        server.client() as wire,
    ):
        stream = wire.ask()
        wire.until(ResponseReceived, stream)
        wire.h2.reset_stream(stream)
        wire.flush()
        until(lambda: body.is_closed)


def test_a_client_that_does_not_read_loses_its_stream() -> None:
    body = Pieces(LONG, LONG)
    with (
        serving_h2(
            lambda _: Response(200, b"", Headers(), body), Limits(write_timeout=0.05)
        ) as server,
        server.client() as wire,
    ):
        wire.h2.increment_flow_control_window(1 << 20)
        wire.flush()
        stream = wire.ask()
        assert wire.until(StreamReset, stream).error_code == ErrorCode.CANCEL
        assert server.count("stream", "write_timeout") == 1
        until(lambda: body.is_closed)


def test_long_bodies_over_tls(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    context, client = certs.server("a.test"), certs.client()
    for one in (context, client):
        one.set_alpn_protocols(["h2"])
    schemes: list[bytes] = []

    def service(request: Request) -> Response:
        schemes.append(request.scheme)
        return echo(request)

    with serving_h2(service, tls=context) as server:
        with client.wrap_socket(server.connect(), server_hostname="a.test") as sock:
            wire = H2Wire(sock)
            stream = wire.ask((*POST[:1], (":scheme", "https"), *POST[2:]), ends=False)
            reading = gevent.spawn(wire.body, stream)
            sent = b""
            while len(sent) < 1_000_000:
                size = wire.h2.local_flow_control_window(stream)
                wire.send(stream, LONG[: min(size, 50_000)])
                sent += LONG[: min(size, 50_000)]
                gevent.sleep(0.001)
            wire.send(stream, b"", ends=True)
            assert reading.get(timeout=WAIT_S) == sent
        assert schemes == [b""]


def test_a_scheme_that_is_not_the_connections() -> None:
    schemes: list[bytes] = []

    def service(request: Request) -> Response:
        schemes.append(request.scheme)
        return text_response(200, "ok")

    with serving_h2(service) as server, server.client() as wire:
        wire.body(wire.ask((*GET[:1], (":scheme", "HTTPS"), *GET[2:])))
        assert schemes == [b"https"]


@pytest.mark.parametrize("size", [1, 30_000])
def test_a_call_that_is_over_leaves_nothing_to_the_garbage_collector(size: int) -> None:
    def echo(request: Request) -> Response:
        assert request.body is not None
        return Response(200, b"", Headers(), request.body)

    with serving_h2(echo) as server, server.client(window=1 << 20) as wire, without_collector():
        before = alive(Call, Inbound, Outbound)
        for _ in range(2):
            stream = wire.ask(POST, bytes(size))
            assert wire.body(stream) == bytes(size)
        until(lambda: alive(Call, Inbound, Outbound) <= before)
        with server.client() as other:
            other.h2.reset_stream(other.ask(POST, b"half", ends=False))
            other.flush()
            until(lambda: alive(Call, Inbound, Outbound) <= before)


def test_a_call_that_is_reset_while_it_is_served_leaves_nothing_to_the_garbage_collector() -> None:
    begun = Event()

    def wait(_: Request) -> Response:
        begun.set()
        gevent.sleep(WAIT_S)
        raise AssertionError("nobody has waited for it")

    with serving_h2(wait) as server, server.client() as wire, without_collector():
        before = alive(Call, Inbound, Request)
        stream = wire.ask(POST, b"half", ends=False)
        assert begun.wait(WAIT_S)
        wire.h2.reset_stream(stream)
        wire.flush()
        until(lambda: server.count("stream", "remote", "reset") == 1)
        until(lambda: alive(Call, Inbound, Request) <= before)


@pytest.mark.parametrize("is_answered", [False, True])
@pytest.mark.parametrize("is_reset", [False, True])
def test_what_nobody_has_read_of_a_body_is_forgotten_with_its_stream(
    *, is_reset: bool, is_answered: bool
) -> None:
    begun = Event()

    def service(_: Request) -> Response:
        begun.set()
        if is_answered:
            return Response(200, b"", Headers(), Waiting())
        gevent.sleep(WAIT_S)
        raise AssertionError("nobody has waited for it")

    with serving_h2(service) as server, server.client() as wire:
        before = memory.total
        stream = wire.ask(POST, bytes(12_000), ends=False)
        assert begun.wait(WAIT_S)
        until(lambda: memory.total == before + 12_000)
        if is_reset:
            wire.h2.reset_stream(stream)
            wire.flush()
        else:
            wire.sock.close()
        until(lambda: memory.total == before)
