"""What a connection that fails does to the requests after it, and what ends that."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, repeat

import gevent
import pytest
from gevent.event import Event

from meshproxy.accrual.breaker import FailureAccrual
from meshproxy.accrual.policies import ConsecutiveFailures
from meshproxy.backoff import Backoff, constant
from meshproxy.client.fail_fast import FailFastEndpoint, FailFastStats, attempts
from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.tls import TlsSettings
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.errors import ConnectFailed, FailedFast, ServiceTimedOut, TlsFailed
from meshproxy.ewma import LeastLoaded
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from tests.kit.badserver import BadServer, Send, Stall, Until
from tests.kit.clock import FakeClock
from tests.kit.downstream import Downstream
from tests.kit.events import events_of
from tests.kit.k8s import wait_until
from tests.kit.messages import body_of, request
from tests.kit.nodes import numbers
from tests.kit.wire import WAIT_S


class World:
    """An endpoint that fails fast, and tries to connect each time it is told to."""

    def __init__(
        self, port: int, backoff: Backoff | None = None, transport: Transport | None = None
    ) -> None:
        self.clock, self.metrics = FakeClock(), Tree()
        self.policy = ConsecutiveFailures(9, constant(10))
        address = Address("127.0.0.1", port)
        self.connects = ConnectStats(Tree())
        self.endpoint = FailFastEndpoint(
            address,
            EndpointPool(address, transport or Transport(Limits(), 5.0), self.connects),
            LeastLoaded(),
            FailureAccrual(self.policy, Tree(), "it"),
            Tree().counter("cut_responses"),
            0.5,
            stats=FailFastStats(self.metrics, "/#/fast", self.clock),
            backoff=backoff or (lambda: repeat(0.001)),
        )

    def ask(self) -> bytes:
        return body_of(self.endpoint.serve(request()))

    def seen(self, *names: str) -> list[float]:
        found = numbers(self.metrics)
        return [found[name] for name in names]


@contextmanager
def world(
    port: int, backoff: Backoff | None = None, transport: Transport | None = None
) -> Iterator[World]:
    made = World(port, backoff, transport)
    try:
        yield made
    finally:
        made.endpoint.close()


def for_ever() -> Iterator[float]:
    return repeat(1e6)


@pytest.fixture
def port() -> int:
    """A port nobody listens on."""
    with Downstream(lambda _: b"") as gone:
        return gone.port


def test_an_endpoint_that_answers_is_left_alone() -> None:
    with Downstream(lambda _: b"ok") as server, world(server.port) as made:
        assert [made.ask(), made.ask()] == [b"ok", b"ok"]
        assert made.endpoint.is_open
        assert made.seen("marked_dead", "is_marked_dead") == [0, 0]


def test_after_a_failed_connection_requests_are_rejected_at_once(port: int) -> None:
    with world(port, for_ever) as made:
        with pytest.raises(ConnectFailed) as first:
            made.ask()
        assert not isinstance(first.value, FailedFast)
        assert not made.endpoint.is_open
        asked = request()
        with pytest.raises(FailedFast) as second:
            made.endpoint.serve(asked)
        assert second.value.retryable
        assert asked.endpoint == made.endpoint.name
        assert made.endpoint.load.pending == 0
        made.clock.advance(1.5)
        assert made.seen("marked_dead", "is_marked_dead", "unhealthy_for_ms") == [1, 1, 1500]


def test_it_tells_that_it_fails_fast(port: int) -> None:
    with world(port, for_ever) as subject:
        assert subject.endpoint.describe()["state"] == "alive"
        with pytest.raises(ConnectFailed):
            subject.ask()
        assert subject.endpoint.describe()["state"] == "failing_fast"


def test_the_breaker_does_not_hear_of_rejections(port: int) -> None:
    with world(port, for_ever) as made:
        for _ in range(3):
            with pytest.raises(ConnectFailed):
                made.ask()
        assert made.policy.count == 1


def test_requests_that_fail_together_mark_it_once(port: int) -> None:
    with world(port, for_ever) as made:
        asking = [gevent.spawn(made.ask) for _ in range(3)]
        gevent.joinall(asking)
        assert [type(one.exception) for one in asking] == [ConnectFailed] * 3
        assert made.seen("marked_dead", "is_marked_dead") == [1, 1]


def test_a_connection_that_succeeds_restores_it(port: int) -> None:
    ready = Event()

    def when_ready() -> Iterator[float]:
        for _ in range(3):
            yield 0
        ready.wait()
        yield from repeat(0.001)

    with world(port, when_ready) as made:
        with pytest.raises(ConnectFailed):
            made.ask()
        wait_until(lambda: made.seen("unhealthy_num_tries") == [3])
        with Downstream(lambda _: b"back", port=port):
            ready.set()
            wait_until(lambda: made.endpoint.is_open)
            assert made.ask() == b"back"
            assert made.connects.connects.value == 1
        names = ("marked_available", "is_marked_dead", "unhealthy_num_tries", "unhealthy_for_ms")
        assert made.seen(*names) == [1, 0, 0, 0]


def test_it_can_fail_again(port: int) -> None:
    waits = iter([repeat(0.001), for_ever()])
    with world(port, waits.__next__) as made:
        with pytest.raises(ConnectFailed):
            made.ask()
        wait_until(lambda: made.seen("unhealthy_num_tries")[0] > 0)
        with Downstream(lambda _: b"", port=port):
            wait_until(lambda: made.endpoint.is_open)
        made.endpoint.close_idle()
        with pytest.raises(ConnectFailed):
            made.ask()
        names = ("marked_dead", "marked_available", "is_marked_dead", "unhealthy_num_tries")
        assert made.seen(*names) == [2, 1, 1, 0]


def test_a_handshake_that_fails_counts_as_a_connection_that_does() -> None:
    tls = Transport(Limits(), 5.0, TlsSettings(), "a.test")
    script = [Send(b"SSH-2.0-x\r\n"), Stall()]
    with BadServer([script]) as server, world(server.port, for_ever, tls) as made:
        with pytest.raises(TlsFailed):
            made.ask()
        assert not made.endpoint.is_open


def test_an_answer_that_does_not_come_is_no_failure_to_connect() -> None:
    with BadServer([[Until(), Stall()]]) as server, world(server.port) as made:
        with pytest.raises(ServiceTimedOut):
            made.ask()
        assert made.endpoint.is_open


def test_attempts_end_with_the_endpoint(port: int) -> None:
    made = World(port, for_ever)
    with pytest.raises(ConnectFailed):
        made.ask()
    recovery = made.endpoint._recovery
    assert recovery is not None
    made.endpoint.close()
    gevent.joinall([recovery], timeout=WAIT_S, raise_error=True)
    assert recovery.dead
    assert made.seen("is_marked_dead", "marked_available") == [0, 0]
    assert not made.endpoint.is_open


def test_a_request_that_fails_after_the_endpoint_is_gone_starts_no_attempts(port: int) -> None:
    made = World(port, for_ever)
    made.endpoint.is_closed = True
    with pytest.raises(ConnectFailed):
        made.ask()
    assert made.seen("marked_dead") == [0]
    made.endpoint.close()


def test_waits_are_jittered_sixteen_times_and_then_the_longest() -> None:
    waits = list(islice(attempts(), 20))
    assert waits[0] == 1
    assert all(0 <= wait < min(2.0**place, 32) for place, wait in enumerate(waits[1:16], 1))
    assert len(set(waits[1:16])) > 10
    assert waits[16:] == [32] * 4


def test_the_timeline_tells_when_it_fails_and_when_it_recovers(port: int) -> None:
    with world(port, for_ever) as made:
        with pytest.raises(ConnectFailed):
            made.ask()
        made.clock.advance(3)
        assert made.endpoint.out_s == 3
        (event,) = events_of(f"{made.endpoint.name} of /#/fast")
        assert event.startswith("fails fast until a connection is made: ")
    with Downstream(lambda _: b"ok") as server, world(server.port) as made:
        made.endpoint._fail(ConnectFailed("refused"))
        wait_until(lambda: made.endpoint.is_open)
        assert events_of(f"{made.endpoint.name} of /#/fast")[-1] == "connections are made again"


def test_an_operator_marks_it_alive(port: int) -> None:
    with world(port, for_ever) as made:
        with pytest.raises(ConnectFailed):
            made.ask()
        made.endpoint.mark_alive()
        assert made.endpoint.is_open
        assert (made.endpoint.out_s, made.seen("is_marked_dead")) == (0, [0])
