"""The endpoints behind one bound name: how they come and go, and what errors tell of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import gevent
import pytest

from meshproxy.balancers.aperture import ApertureConfig
from meshproxy.balancers.ewma import EwmaConfig
from meshproxy.balancers.heap import HeapConfig
from meshproxy.balancers.p2c import P2c, P2cConfig
from meshproxy.balancers.round_robin import RoundRobinConfig
from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.tls import TlsSettings
from meshproxy.config.retries import RetryBudgetConfig
from meshproxy.errors import (
    BindingFailed,
    BindingTimedOut,
    ConnectFailed,
    FailedFast,
    LoopDetected,
    NoHosts,
    ServiceTimedOut,
    TlsFailed,
)
from meshproxy.filters.diagnostics import Diagnostics
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.naming.bound import Bound
from meshproxy.naming.path import Path
from meshproxy.router.client import Client, ClientKey
from meshproxy.router.own_listeners import LoopGuard, OwnListener, OwnListeners
from meshproxy.router.policy import ClientPolicy
from meshproxy.var import Var
from tests.kit.badserver import BadServer, Send, Stall, Until
from tests.kit.downstream import Answer, Downstream
from tests.kit.events import events_of
from tests.kit.guards import guard
from tests.kit.messages import body_of, request
from tests.kit.wire import WAIT_S

ID = Path.parse("/#/io.l5d.fs/web")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Subject(Client):
    """A client whose addresses are what `addr` is set to."""

    def __init__(
        self,
        *ports: int,
        addr: Addr | None = None,
        policy: ClientPolicy | None = None,
        binding_seconds: float = 5.0,
        guarded_by: LoopGuard | None = None,
    ) -> None:
        self.tree = Tree()
        self.metrics = self.tree.scope("client")
        self.addresses: Var[Addr] = Var(addr or of(*ports))
        super().__init__(
            Bound(ID, self.addresses),
            ClientKey(ID, policy or ClientPolicy(), Limits(), binding_seconds),
            self.metrics,
            EndpointPool,
            guarded_by or guard(),
            lambda bound_id: Diagnostics("outgoing", bound_id.show(), lambda _: ()),
        )

    def ask(self, asked: Request | None = None) -> bytes:
        return body_of(self.serve(asked or asking()))

    def counter(self, *names: str) -> int:
        return self.metrics.counter(*names).value


def of(*ports: int, authority: str | None = None) -> Addr:
    return AddrBound(frozenset(Address("127.0.0.1", port) for port in ports), authority)


def asking() -> Request:
    asked = request()
    asked.dst = Path.parse("/svc/web")
    return asked


def closed_port() -> int:
    with Downstream(lambda _: b"") as gone:
        return gone.port


@contextmanager
def origins(count: int) -> Iterator[list[Downstream]]:
    """Serve *count* origins, each of which answers with its port."""
    servers = [Downstream(lambda _: b"") for _ in range(count)]
    for server in servers:
        server.handler = lambda _, port=server.port: str(port).encode()  # type: ignore[misc]
    try:
        yield servers
    finally:
        for server in servers:
            server.close()


@contextmanager
def subject(*ports: int, **more: object) -> Iterator[Subject]:
    client = Subject(*ports, **more)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        client.close()


# --- endpoints come and go ---


def test_requests_go_to_every_endpoint() -> None:
    with origins(2) as servers, subject(*(server.port for server in servers)) as client:
        answered = {client.ask() for _ in range(50)}
        assert answered == {str(server.port).encode() for server in servers}
        assert client.counter("requests") == 50
        assert client.metrics.gauge("loadbalancer", "size").read() == 2


def test_one_that_comes_is_used_and_one_that_goes_is_not() -> None:
    with origins(2) as (first, second), subject(first.port) as client:
        assert client.ask() == str(first.port).encode()
        client.addresses.set(of(second.port))
        assert {client.ask() for _ in range(5)} == {str(second.port).encode()}
        assert client.metrics.gauge("connections").read() == 1


def test_it_tells_its_endpoints_by_their_addresses() -> None:
    with subject(3, 1, 2) as client:
        assert [one.name for one in client.endpoints()] == [f"127.0.0.1:{n}" for n in (1, 2, 3)]


def test_one_that_stays_keeps_its_connection() -> None:
    with origins(2) as (first, second), subject(first.port) as client:
        client.ask()
        for addr in (of(first.port, second.port), of(first.port)):
            client.addresses.set(addr)
        client.ask()
        assert len(first.wire) == 1


def test_one_that_goes_finishes_what_runs() -> None:
    slow = [Until(), Send(OK[:-2]), Stall()]
    with BadServer([slow]) as server, subject(server.port) as client:
        answer = client.serve(asking())
        client.addresses.set(of(closed_port()))
        assert client.metrics.gauge("connections").read() == 1
        answer.close()
        assert client.metrics.gauge("connections").read() == 0


def weighted(**weights: float) -> Addr:
    """Return the addresses of ports by weight: `p8080=2.0`."""
    return AddrBound(
        frozenset(Address("127.0.0.1", int(port[1:]), weight) for port, weight in weights.items())
    )


def test_a_change_of_weight_keeps_the_endpoint_and_its_connection() -> None:
    with origins(2) as servers, subject(*(server.port for server in servers)) as client:
        first, second = servers
        for _ in range(20):
            client.ask()
        client.addresses.set(weighted(**{f"p{first.port}": 1.0, f"p{second.port}": 0.0}))
        seen = len(second.requests)
        assert {client.ask() for _ in range(20)} == {str(first.port).encode()}
        assert len(second.requests) == seen
        client.addresses.set(weighted(**{f"p{first.port}": 0.0, f"p{second.port}": 3.0}))
        assert {client.ask() for _ in range(20)} == {str(second.port).encode()}
        assert [len(server.wire) for server in servers] == [1, 1]
        names = ("adds", "removes", "updates")
        assert [client.counter("loadbalancer", name) for name in names] == [2, 0, 3]
        assert client.metrics.gauge("loadbalancer", "num_weight_classes").read() == 2


def test_with_one_weight_its_balancer_is_asked_directly() -> None:
    with subject(1, 2) as client:
        assert isinstance(client._table.balancer, P2c)
        client.addresses.set(weighted(p1=1.0, p2=2.0))
        assert client._table.balancer is client._classes


def test_an_address_that_comes_twice_has_the_greater_weight() -> None:
    with origins(1) as (server,), subject(server.port) as client:
        twice = [Address("127.0.0.1", server.port, weight) for weight in (3.0, 1.0, 2.0)]
        client.addresses.set(AddrBound(frozenset(twice)))
        assert [endpoint.weight for endpoint in client._classes.nodes] == [3.0]


# --- probation ---

PROBATION = ClientPolicy(balancer=P2cConfig(enable_probation=True))


def test_on_probation_a_vanished_endpoint_stays_while_it_is_healthy() -> None:
    with (
        origins(2) as (stays, vanishes),
        subject(stays.port, vanishes.port, policy=PROBATION) as client,
    ):
        client.addresses.set(of(stays.port))
        answered = {client.ask() for _ in range(50)}
        assert answered == {str(server.port).encode() for server in (stays, vanishes)}


def test_on_probation_one_that_is_down_goes_at_the_next_update() -> None:
    with origins(1) as (stays,), subject(stays.port, policy=PROBATION) as client:
        gone = closed_port()
        client.addresses.set(of(stays.port, gone))
        [down] = [one for one in client._classes.nodes if one.name.endswith(f":{gone}")]
        client.addresses.set(of(stays.port))
        assert down in client._classes.nodes
        for _ in range(5):
            with pytest.raises(ConnectFailed):
                down.serve(asking())
        assert down in client._classes.nodes
        client.addresses.set(of(stays.port, 1))
        assert down.is_closed
        assert down not in client._classes.nodes


def test_a_closed_client_keeps_nobody_on_probation() -> None:
    with origins(1) as (server,):
        client = Subject(server.port, policy=PROBATION)
        client.ask()
        client.addresses.set(ADDR_NEG)
        assert client.ask() == str(server.port).encode()
        client.close()
        assert client.metrics.gauge("connections").read() == 0
        assert client._classes.nodes == ()


# --- the kinds of balancers ---

POLICIES = [
    ClientPolicy(balancer=config)
    for config in (P2cConfig(), EwmaConfig(), ApertureConfig(), HeapConfig(), RoundRobinConfig())
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.balancer.kind)
def test_every_kind_counts_what_runs_and_forgets_what_ended(policy: ClientPolicy) -> None:
    slow = [Until(), Send(OK[:-2]), Stall()]
    with BadServer([slow] * 3) as server, subject(server.port, policy=policy) as client:
        load = client.metrics.gauge("loadbalancer", "load").read
        answers = [client.serve(asking()) for _ in range(3)]
        assert load() == 3
        for answer in answers:
            answer.close()
        assert load() == 0
        shown = f"algorithm/{policy.balancer.algorithm}".split("/")
        assert client.metrics.gauge("loadbalancer", *shown).read() == 1


def test_status_is_the_best_of_the_endpoints() -> None:
    with origins(1) as (server,), subject(server.port) as client:
        available = client.metrics.gauge("available").read
        assert (available(), type(available())) == (1, int)  # JSON would say true
        client.addresses.set(of(closed_port()))
        for _ in range(5):
            with pytest.raises(ConnectFailed):
                client.ask()
        assert available() == 0


@pytest.mark.parametrize("lost", [ADDR_PENDING, AddrFailed("DNS is down")])
def test_the_last_good_addresses_stay_in_use(lost: Addr) -> None:
    with origins(1) as (server,), subject(server.port) as client:
        client.addresses.set(lost)
        assert client.ask() == str(server.port).encode()


@pytest.mark.parametrize("gone", [ADDR_NEG, of()])
def test_no_addresses_are_no_hosts(gone: Addr) -> None:
    with origins(1) as (server,), subject(server.port) as client:
        client.addresses.set(gone)
        with pytest.raises(NoHosts):
            client.ask()
        client.addresses.set(of(server.port))
        assert client.ask() == str(server.port).encode()


def test_the_first_addresses_are_waited_for() -> None:
    with origins(1) as (server,), subject(addr=ADDR_PENDING) as client:
        asking_now = gevent.spawn(client.ask)
        gevent.idle()
        client.addresses.set(of(server.port))
        assert asking_now.get() == str(server.port).encode()


def test_waiting_for_addresses_ends_with_the_binding_timeout() -> None:
    with (
        subject(addr=ADDR_PENDING, binding_seconds=0.02) as client,
        pytest.raises(
            BindingTimedOut, match=r"^Exceeded 0\.02\.seconds binding timeout while conn"
        ),
    ):
        client.ask()


def test_waiting_for_addresses_ends_with_the_request_s_deadline() -> None:
    asked = asking()
    asked.deadline = monotonic() + 0.02
    with (
        gevent.Timeout(10),
        subject(addr=ADDR_PENDING, binding_seconds=1e6) as client,
        pytest.raises(ServiceTimedOut),
    ):
        client.ask(asked)


def test_a_failure_to_find_addresses_is_told() -> None:
    with (
        subject(addr=AddrFailed("DNS is down")) as client,
        pytest.raises(BindingFailed, match="DNS is down"),
    ):
        client.ask()


def test_a_closed_client_leaves_no_connection_and_no_metrics() -> None:
    with origins(1) as (server,):
        client = Subject(server.port)
        client.ask()
        client.close()
        assert "client" not in client.tree.scopes
        assert client.metrics.gauge("connections").read() == 0
        client.addresses.set(of(closed_port()))
        assert client.metrics.gauge("loadbalancer", "size").read() == 0


# --- failures ---


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.balancer.kind)
def test_no_request_fails_while_another_endpoint_answers(policy: ClientPolicy) -> None:
    with origins(1) as (server,):
        for _ in range(10):
            with subject(server.port, closed_port(), closed_port(), policy=policy) as client:
                assert {client.ask() for _ in range(4)} == {str(server.port).encode()}


def test_a_refused_connection_tells_all_about_it() -> None:
    port = closed_port()
    with subject(port) as client, pytest.raises(ConnectFailed) as raised:
        client.ask()
    text = str(raised.value)
    assert raised.value.retryable
    assert text.startswith(f"Unable to establish connection to 127.0.0.1:{port}.\n\n")
    assert text.endswith(
        "\nservice name: /svc/web\n"
        "client name: /#/io.l5d.fs/web\n"
        f"addresses: [127.0.0.1:{port}]\n"
        f"selected address: 127.0.0.1:{port}\n"
    )


def test_every_endpoint_is_tried_once_when_all_refuse() -> None:
    with subject(closed_port(), closed_port(), closed_port()) as client:
        with pytest.raises(ConnectFailed):
            client.ask()
        assert client.counter("retries", "requeues") == 2
        assert client.counter("failures") == 3


def test_without_a_budget_one_endpoint_is_tried() -> None:
    none = RetryBudgetConfig(min_retries_per_sec=0, percent_can_retry=0.0)
    with subject(closed_port(), closed_port(), policy=ClientPolicy(requeue_budget=none)) as client:
        with pytest.raises(ConnectFailed):
            client.ask()
        assert client.counter("failures") == 1


def test_a_refusing_endpoint_is_dead_after_five_failures_and_still_tried_alone() -> None:
    with subject(closed_port()) as client:
        for _ in range(6):
            with pytest.raises(ConnectFailed):
                client.ask()
        assert client.counter("failure_accrual", "removals") == 1
        assert client.metrics.gauge("loadbalancer", "available").read() == 0


def test_with_fail_fast_a_refusing_endpoint_is_not_connected_to_again() -> None:
    policy = ClientPolicy(fail_fast=True)
    with origins(1) as (server,), subject(closed_port(), policy=policy) as client:
        for _ in range(3):
            with pytest.raises(ConnectFailed) as raised:
                client.ask()
        assert isinstance(raised.value, FailedFast)
        assert "selected address: 127.0.0.1:" in str(raised.value)
        reasons = [client.counter("failures", reason) for reason in ("connect", "failed_fast")]
        assert reasons == [1, 2]
        assert client.counter("failure_accrual", "removals") == 0
        assert client.metrics.gauge("loadbalancer", "busy").read() == 1
        assert client.metrics.gauge("failfast", "is_marked_dead").read() == 1
        client.addresses.set(of(server.port))
        assert client.ask() == str(server.port).encode()
        assert client.metrics.gauge("failfast", "is_marked_dead").read() == 0


def test_without_fail_fast_there_is_nothing_of_it() -> None:
    with origins(1) as (server,), subject(server.port) as client:
        client.ask()
        assert "failfast" not in client.metrics.scopes


def test_a_stalled_answer_tells_who_and_how_long() -> None:
    with BadServer([[Until(), Stall()]]) as server:
        policy = ClientPolicy(attempt_seconds=0.05)
        with (
            subject(server.port, policy=policy) as client,
            pytest.raises(ServiceTimedOut) as raised,
        ):
            client.ask()
    assert str(raised.value) == (
        "exceeded 0.05.seconds to /svc/web while waiting for a response for an individual "
        f"request, excluding retries. Remote Info: 127.0.0.1:{server.port}, /#/io.l5d.fs/web"
    )


def test_a_failed_handshake_tells_where_and_why() -> None:
    policy = ClientPolicy(tls=TlsSettings(), server_name="a.test")
    script = [Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Stall()]
    with BadServer([script]) as server, subject(server.port, policy=policy) as client:
        with pytest.raises(TlsFailed, match=r"TLS to a\.test failed") as raised:
            client.ask()
        assert f"selected address: 127.0.0.1:{server.port}" in str(raised.value)


# --- what endpoints are told apart from the request itself ---


def test_endpoints_with_an_authority_read_that_in_host() -> None:
    with origins(1) as (server,):
        first, other = of(server.port, authority="a.test"), of(server.port, authority="b.test")
        with subject(addr=first) as client:
            client.ask()
            client.addresses.set(other)
            client.ask()
            client.addresses.set(of(server.port))
            client.ask()
        assert [one.get("host") for one in server.requests] == ["a.test", "b.test", "web"]


def test_a_request_that_waited_for_the_addresses_goes_to_their_authority() -> None:
    with origins(1) as (server,), subject(addr=ADDR_PENDING) as client:
        waiting = gevent.spawn(client.ask)
        gevent.sleep(0)
        client.addresses.set(of(server.port, authority="a.test"))
        assert waiting.get(timeout=WAIT_S) == str(server.port).encode()
        assert server.requests[0].get("host") == "a.test"


def test_a_location_leads_back_through_the_proxy() -> None:
    answer = Answer(302, headers=(("Location", "http://a.test/login"),))
    with (
        Downstream(lambda _: answer) as server,
        subject(addr=of(server.port, authority="a.test")) as client,
    ):
        assert client.serve(asking()).headers.get(b"location") == b"http://web/login"


def test_an_empty_authority_is_none() -> None:
    with origins(1) as (server,), subject(addr=of(server.port, authority="")) as client:
        client.ask()
        assert server.requests[0].get("host") == "web"


def test_a_trace_that_ends_here_reports_the_endpoint_it_would_have_gone_to() -> None:
    with origins(2) as servers, subject(*(one.port for one in servers)) as client:
        asked = request((b"Max-Forwards", b"0"), (b"l5d-add-context", b"true"), method=b"TRACE")
        asked.dst = Path.parse("/svc/web")
        lines = client.ask(asked).decode().splitlines()
        assert sum(len(one.requests) for one in servers) == 0
    addresses = sorted(f"127.0.0.1:{one.port}" for one in servers)
    assert "client name: /#/io.l5d.fs/web" in lines
    assert f"addresses: [{', '.join(addresses)}]" in lines
    [selected] = [line for line in lines if line.startswith("selected address: ")]
    assert selected.removeprefix("selected address: ") in addresses


def test_an_endpoint_of_another_host_is_told_both_that_and_the_hops() -> None:
    with origins(1) as (server,), subject(addr=of(server.port, authority="a.test")) as client:
        client.ask(request((b"Max-Forwards", b"5"), method=b"OPTIONS"))
        [asked] = server.requests
        assert (asked.get("host"), asked.get("max-forwards")) == ("a.test", "4")


# --- another source of the same addresses ---


def test_it_follows_another_var_and_keeps_what_both_have() -> None:
    with origins(2) as (first, second), subject(first.port) as client:
        client.ask()
        other = Var(of(first.port))
        client.follow(Bound(ID, other))
        client.ask()
        assert {one.connection for one in first.requests} == {0}
        assert client.addresses._observers == {}
        other.set(of(second.port))
        assert client.ask() == str(second.port).encode()
    assert other._observers == {}


def test_a_source_that_does_not_know_yet_changes_nothing() -> None:
    with origins(1) as (server,), subject(server.port) as client:
        client.follow(Bound(ID, Var(ADDR_PENDING)))
        assert client.ask() == str(server.port).encode()


# --- our own listeners ---


def test_a_listener_of_ours_is_no_endpoint_and_others_are() -> None:
    with origins(2) as (web, ours):
        listener = OwnListener("127.0.0.1", ours.port, "http")
        with subject(web.port, ours.port, guarded_by=guard(listener)) as client:
            assert {client.ask() for _ in range(20)} == {str(web.port).encode()}
            assert client.names() == [f"127.0.0.1:{web.port}"]


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "pending"])
def test_with_nothing_but_our_listeners_it_is_a_loop_and_no_attempt(*, is_known: bool) -> None:
    with origins(1) as (ours,):
        guarded_by = guard(OwnListener("127.0.0.1", ours.port, "http"))
        addr = of(ours.port) if is_known else ADDR_PENDING
        with subject(addr=addr, guarded_by=guarded_by) as client:
            asking_it = gevent.spawn(client.ask)
            gevent.idle()
            client.addresses.set(of(ours.port))
            with pytest.raises(LoopDetected, match=f"router http .* 127.0.0.1:{ours.port}"):
                asking_it.get()
            assert ours.requests == []
            names = ("requests", "failures", "connects")
            assert [client.counter(name) for name in names] == [0, 0, 0]
            gauges = (("pending",), ("service", "svc/web", "pending"))
            assert [client.metrics.gauge(*name).read() for name in gauges] == [0, 0]


def test_what_becomes_a_listener_of_ours_goes_at_the_next_update_even_on_probation() -> None:
    with origins(1) as (ours,):
        own = OwnListeners(lambda ip: ip.is_loopback)
        guarded_by = LoopGuard(own, "http", Tree())
        with subject(ours.port, policy=PROBATION, guarded_by=guarded_by) as client:
            client.ask()
            own.replace([OwnListener("0.0.0.0", ours.port)])
            client.follow(Bound(ID, Var(of(ours.port))))
            with pytest.raises(LoopDetected):
                client.ask()


def test_the_timeline_tells_what_discovery_changed() -> None:
    with Downstream(lambda _: b"") as one, Downstream(lambda _: b"") as two:
        subject = Subject(one.port)
        subject.addresses.set(of(one.port, two.port))
        subject.addresses.set(ADDR_PENDING)
        subject.close()
        assert events_of(ID.show())[-1] == f"127.0.0.1:{two.port} added; 2 addresses now"
