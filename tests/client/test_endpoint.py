"""One address: what each result means to its load, its breaker and the response itself."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

import gevent
import pytest

from meshproxy.accrual.breaker import FailureAccrual, State
from meshproxy.accrual.policies import ConsecutiveFailures
from meshproxy.backoff import constant
from meshproxy.classifiers.grpc import GrpcDefaultConfig
from meshproxy.classifiers.status import AllSuccessfulConfig, RetryableAll5XXConfig
from meshproxy.client.endpoint import Endpoint, show
from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.config.bases import ClassifierConfig
from meshproxy.errors import (
    BodyTooLarge,
    ClientGone,
    ConnectFailed,
    ConnectionClosed,
    PoolFull,
    ProxyError,
    ServiceTimedOut,
    TimedOutConnecting,
    TimedOutInQueue,
)
from meshproxy.ewma import LeastLoaded, PeakEwma
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.net.body import StreamBody
from tests.kit.badserver import BadServer, Script, Send, Stall, Until
from tests.kit.clock import FakeClock
from tests.kit.events import events_of
from tests.kit.faults import black_hole
from tests.kit.messages import Pieces, body_of, request
from tests.kit.streams import Streaming, stream_response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"
BROKEN = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"


class World:
    """An endpoint, dead after one failure for ten seconds, and the parts it is made of."""

    def __init__(
        self, port: int, transport: Transport | None = None, attempt_seconds: float = math.inf
    ) -> None:
        self.clock = FakeClock()
        self.metrics = Tree()
        policy = ConsecutiveFailures(1, constant(10))
        self.accrual = FailureAccrual(policy, self.metrics, "it", self.clock.ns)
        self.load = LeastLoaded()
        self.cut = self.metrics.counter("cut_responses")
        self.endpoint = self._endpoint(port, transport or Transport(Limits(), 5.0), attempt_seconds)

    def _endpoint(self, port: int, transport: Transport, attempt_seconds: float) -> Endpoint:
        address = Address("127.0.0.1", port)
        pool = EndpointPool(address, transport, ConnectStats(self.metrics))
        return Endpoint(address, pool, self.load, self.accrual, self.cut, attempt_seconds)


@contextmanager
def serving(script: Script, attempt_seconds: float = math.inf) -> Iterator[World]:
    """Make an endpoint that plays *script* on every connection."""
    with BadServer([script]) as server:
        world = World(server.port, attempt_seconds=attempt_seconds)
        yield world
        world.endpoint.close()


def asking(config: ClassifierConfig | None = None, method: bytes = b"GET") -> Request:
    asked = request(method=method)
    asked.classifier = (config or RetryableAll5XXConfig()).build()
    return asked


def test_nothing_is_sent_once_the_time_is_over() -> None:
    with BadServer([[Until(), Send(OK)]]) as server:
        world, asked = World(server.port), asking()
        asked.deadline = monotonic()
        with pytest.raises(ServiceTimedOut):
            world.endpoint.serve(asked)
        assert (server.received, world.load.pending, world.accrual.state) == ([], 0, State.ALIVE)


def let_go(found: Response) -> None:
    """Tell the endpoint, on the connection of *found*, to send the rest of it."""
    assert isinstance(found.body, StreamBody)
    found.body._stream.send(b"go", 1)


def test_a_success_leaves_no_load_and_no_doubt() -> None:
    with serving([Until(), Send(OK)]) as world:
        asked = asking()
        found = world.endpoint.serve(asked)
        assert (found.status, found.failed, found.retryable) == (200, False, False)
        assert asked.endpoint == world.endpoint.name == f"127.0.0.1:{world.endpoint.address.port}"
        assert world.load.pending == 0
        assert world.accrual.state is State.ALIVE


@pytest.mark.parametrize(
    ("asked", "failed", "retryable", "state"),
    [
        (asking(), True, True, State.DEAD),
        (asking(method=b"BREW"), True, False, State.DEAD),
        (asking(AllSuccessfulConfig()), False, False, State.ALIVE),
        (request(), False, False, State.ALIVE),
    ],
    ids=["retryable", "not retryable", "allSuccessful", "no classifier"],
)
def test_the_classifier_says_what_a_5xx_is(
    asked: Request, *, failed: bool, retryable: bool, state: State
) -> None:
    with serving([Until(), Send(BROKEN)]) as world:
        found = world.endpoint.serve(asked)
        assert (found.failed, found.retryable, world.accrual.state) == (failed, retryable, state)
        assert world.load.pending == 0


def test_a_4xx_is_a_success() -> None:
    with serving([Until(), Send(BROKEN.replace(b"500", b"499"))]) as world:
        assert not world.endpoint.serve(asking()).failed
        assert world.accrual.state is State.ALIVE


def test_a_request_whose_body_is_gone_is_not_retryable() -> None:
    with serving([Until(), Send(BROKEN)]) as world:
        asked = asking()
        asked.body = Pieces(b"gone", is_replayable=False)
        found = world.endpoint.serve(asked)
        assert (found.failed, found.retryable) == (True, False)


def test_a_body_counts_as_load_until_it_ends() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    with serving([Until(), Send(head), Until(b"go"), Send(b"ok")]) as world:
        found = world.endpoint.serve(asking())
        assert world.load.pending == 1
        let_go(found)
        assert body_of(found) == b"ok"
        assert (world.load.pending, world.cut.value) == (0, 0)


def test_a_body_that_is_given_up_is_no_failure_of_the_endpoint() -> None:
    with serving([Until(), Send(PART), Stall()]) as world:
        found = world.endpoint.serve(asking())
        assert world.load.pending == 1
        found.close()
        assert (world.load.pending, world.cut.value, found.failed) == (0, 0, False)
        assert world.accrual.state is State.ALIVE


def test_a_body_that_is_cut_is_a_failure_once_it_is_cut() -> None:
    with serving([Until(), Send(PART)]) as world:
        found = world.endpoint.serve(asking())
        assert (found.failed, world.accrual.state) == (False, State.ALIVE)
        with pytest.raises(ConnectionClosed):
            body_of(found)
        assert (world.load.pending, world.cut.value, found.failed) == (0, 1, True)
        assert world.accrual.state is State.DEAD


def test_a_stream_that_fails_by_its_status_is_one_failure_at_its_end() -> None:
    head = b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\n"
    with serving([Until(), Send(head), Until(b"go"), Send(b"done")]) as world:
        found = world.endpoint.serve(asking())
        assert (found.failed, world.accrual.state) == (True, State.ALIVE)
        let_go(found)
        assert body_of(found) == b"done"
        assert (world.accrual.state, world.metrics.counter("removals").value) == (State.DEAD, 1)


def test_a_probe_does_not_wait_for_the_end_of_a_stream() -> None:
    with serving([Until(), Send(PART), Stall()]) as world:
        world.accrual.failed("x")
        world.clock.advance(10)
        found = world.endpoint.serve(asking())
        assert world.accrual.state is State.ALIVE
        found.close()


def test_no_connection_is_a_failure() -> None:
    with BadServer([[]]) as gone:
        port = gone.port
    world = World(port)
    with pytest.raises(ConnectFailed):
        world.endpoint.serve(asking())
    assert (world.accrual.state, world.load.pending) == (State.DEAD, 0)


@pytest.mark.parametrize(
    ("script", "error"),
    [([Until()], ConnectionClosed), ([Until(), Stall()], ServiceTimedOut)],
    ids=["closed", "stalled"],
)
def test_no_answer_is_a_failure(script: Script, error: type[ProxyError]) -> None:
    with serving(script, 0.05) as world:
        with pytest.raises(error):
            world.endpoint.serve(asking())
        assert (world.accrual.state, world.load.pending) == (State.DEAD, 0)


def test_the_request_s_own_deadline_ends_an_attempt_too() -> None:
    with serving([Until(), Stall()]) as world:
        asked = asking()
        asked.deadline = monotonic() + 0.05
        with pytest.raises(ServiceTimedOut):
            world.endpoint.serve(asked)


@pytest.mark.parametrize("error", [ClientGone("left"), BodyTooLarge("large")])
def test_what_the_client_does_wrong_says_nothing_about_the_endpoint(error: ProxyError) -> None:
    class Broken(Pieces):
        def read(self, other: object = None) -> bytes:
            del other
            raise error

    with serving([Until(b"never")]) as world:
        asked = request(method=b"POST", body=Broken(b"x"))
        with pytest.raises(type(error)):
            world.endpoint.serve(asked)
        assert (world.accrual.state, world.load.pending) == (State.ALIVE, 0)


def test_a_full_queue_says_nothing_about_the_endpoint() -> None:
    with BadServer([[Until(), Stall()]]) as server:
        world = World(server.port, Transport(Limits(), 5.0, max_size=1, max_waiters=0))
        busy = gevent.spawn(world.endpoint.serve, asking())
        gevent.idle()
        with pytest.raises(PoolFull):
            world.endpoint.serve(asking())
        assert (world.accrual.state, world.load.pending) == (State.ALIVE, 1)
        busy.kill()
        assert world.load.pending == 0


def test_waiting_in_our_own_queue_says_nothing_about_the_endpoint() -> None:
    with BadServer([[Until(), Stall()]]) as server:
        transport = Transport(Limits(), 5.0, max_size=1)
        world = World(server.port, transport, attempt_seconds=0.05)
        busy = gevent.spawn(world.endpoint.serve, asking())
        gevent.idle()
        late = asking()
        late.deadline = monotonic() + 0.01
        with pytest.raises(TimedOutInQueue):
            world.endpoint.serve(late)
        assert (world.accrual.state, world.load.pending) == (State.ALIVE, 1)
        with pytest.raises(ServiceTimedOut):
            busy.get()
        assert world.accrual.state is State.DEAD


def test_a_connect_that_the_request_had_no_time_for_blames_nobody() -> None:
    with black_hole() as port:
        world, asked = World(port), asking()
        world.endpoint.load = load = PeakEwma()
        asked.deadline = monotonic() + 0.02
        with pytest.raises(TimedOutConnecting):
            world.endpoint.serve(asked)
        assert (world.accrual.state, load.pending) == (State.ALIVE, 0)
        assert load.cost >= 0.02e9


def test_a_connect_that_takes_all_the_time_of_an_attempt_has_failed() -> None:
    with black_hole() as port:
        limits = Limits(attempt=0.02)
        world = World(port, Transport(limits, 5.0), attempt_seconds=0.02)
        with pytest.raises(ConnectFailed, match=r"no connection within 0\.02 s"):
            world.endpoint.serve(asking())
        assert world.accrual.state is State.DEAD


def test_an_attempt_that_is_killed_leaves_no_load_and_its_probe_to_the_next() -> None:
    with serving([Until(), Send(BROKEN), Until(), Stall()]) as world:
        world.endpoint.serve(asking())
        world.clock.advance(10)
        probing = gevent.spawn(world.endpoint.serve, asking())
        gevent.idle()
        assert world.accrual.state is State.PROBE_CLOSED
        probing.kill()
        assert (world.accrual.state, world.load.pending) == (State.PROBE_OPEN, 0)


def test_a_probe_that_succeeds_revives_it() -> None:
    with serving([Until(), Send(BROKEN), Until(), Send(OK), Stall()]) as world:
        world.endpoint.serve(asking())
        assert not world.endpoint.is_open
        world.clock.advance(10)
        assert world.endpoint.is_open
        world.endpoint.serve(asking())
        assert world.accrual.state is State.ALIVE


def test_an_endpoint_that_is_gone_is_not_open_and_finishes_what_runs() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    with serving([Until(), Send(head), Until(b"go"), Send(b"ok")]) as world:
        found = world.endpoint.serve(asking())
        world.endpoint.close()
        assert (world.endpoint.is_open, world.endpoint.is_closed) == (False, True)
        let_go(found)
        assert body_of(found) == b"ok"


def test_a_failure_never_makes_an_endpoint_cheaper() -> None:
    clock = FakeClock()
    with BadServer([[Until(), Send(BROKEN)]]) as server:
        world = World(server.port)
        world.endpoint.load = load = PeakEwma(10_000, clock)
        began = clock()
        load.begin()
        clock.advance(1)
        load.head(began, clock())
        load.finish()
        before = load.cost
        world.endpoint.serve(asking())
        assert load.cost == before
        world.endpoint.close()


def test_ipv6_is_shown_in_brackets() -> None:
    assert [show(Address(host, 80)) for host in ("1.2.3.4", "::1")] == ["1.2.3.4:80", "[::1]:80"]


def test_it_tells_what_operators_ask() -> None:
    with serving([Until(b"\r\n\r\n"), Send(BROKEN)]) as world:
        described = world.endpoint.describe()
        assert described == {
            "address": world.endpoint.name,
            "state": "alive",
            "seconds_out": 0,
            "out_for_s": 0,
            "weight": 1,
            "pending": 0,
            "ewma_ms": None,
            "connections": 0,
            "idle": 0,
            "streams": None,
        }
        world.endpoint.load = PeakEwma()
        world.endpoint.load.cost = 1_500_000.0
        assert world.endpoint.describe()["ewma_ms"] == 1.5
        world.endpoint.serve(asking(AllSuccessfulConfig()))
        world.accrual.failed("x")
        described = world.endpoint.describe()
        assert (described["state"], described["seconds_out"]) == ("dead", 10)
        world.clock.advance(4)
        assert world.endpoint.describe()["out_for_s"] == world.endpoint.out_s == 4
        world.endpoint.close()
        assert world.endpoint.describe()["state"] == "closed"


def test_an_operator_marks_it_dead_and_alive() -> None:
    with serving([]) as world:
        world.endpoint.mark_dead(30)
        assert (world.endpoint.is_open, world.endpoint.describe()["seconds_out"]) == (False, 30)
        world.endpoint.mark_alive()
        assert world.endpoint.is_open
        assert world.endpoint.out_s == 0


@pytest.mark.parametrize(
    ("sent", "cause"),
    [
        ([Send(BROKEN)], "status 500"),
        ([Send(PART)], "the body was cut"),
        ([], "the endpoint closed the connection before a response"),
    ],
)
def test_the_timeline_tells_what_it_was_marked_dead_for(sent: Script, cause: str) -> None:
    with serving([Until(), *sent]) as world:
        with suppress(ConnectionClosed):
            body_of(world.endpoint.serve(asking()))
        assert world.accrual.state is State.DEAD
        assert f"a failure: {cause}" in events_of("it")[-1]


# --- judged at the end ---


class Answers:
    """Connections on which every request gets *response*."""

    idle = 0

    def __init__(self, response: Response) -> None:
        self._response = response

    def exchange(self, asked: Request, deadline: float) -> Response:
        del asked, deadline
        return self._response


class Judged(World):
    """An endpoint that gives one response."""

    def __init__(self, response: Response) -> None:
        self._response = response
        super().__init__(0)

    def _endpoint(self, port: int, transport: Transport, attempt_seconds: float) -> Endpoint:
        del transport
        answers: Any = Answers(self._response)
        return Endpoint(
            Address("127.0.0.1", port), answers, self.load, self.accrual, self.cut, attempt_seconds
        )

    def serve(self) -> Response:
        return self.endpoint.serve(asking(GrpcDefaultConfig()))


@pytest.mark.parametrize(
    ("status", "failed", "retryable"),
    [(b"0", False, False), (b"5", True, False), (b"14", True, True)],
)
def test_trailers_decide_when_they_come(status: bytes, failed: bool, retryable: bool) -> None:
    body = Streaming(b"", (b"grpc-status", status))
    world = Judged(stream_response(body))
    response = world.serve()
    assert not response.failed
    assert world.accrual.alive
    body.end()
    assert (response.failed, response.retryable) == (failed, retryable)
    assert world.accrual.alive is not failed


def test_trailers_that_came_with_the_head_decide_at_once() -> None:
    body = Streaming(b"", (b"grpc-status", b"14"))
    body.end()
    response = stream_response(body)
    response.ending = None
    world = Judged(response)
    assert world.serve().retryable
    assert not world.accrual.alive


def test_an_end_without_a_status_is_a_failure() -> None:
    assert Judged(stream_response(b"")).serve().failed


def test_a_broken_stream_is_a_failure_whatever_its_status() -> None:
    body = Streaming(b"", (b"grpc-status", b"0"))
    world = Judged(stream_response(body))
    response = world.serve()
    body.end(broken=True)
    assert (response.failed, response.retryable, world.cut.value) == (True, False, 1)
    assert not world.accrual.alive


def test_a_probe_that_fails_at_its_end_marks_the_endpoint_dead_again() -> None:
    body = Streaming(b"", (b"grpc-status", b"14"))
    world = Judged(stream_response(body))
    world.accrual.failed("x")
    world.clock.advance(10)
    assert world.endpoint.is_open
    world.serve()
    assert world.accrual.alive
    body.end()
    assert not world.accrual.alive
