"""Several endpoints behind one name: who gets the requests, whatever the kind of balancer."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import WAIT_S, WireClient

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- {{kind: io.l5d.fs, rootDir: {root}}}
routers:
- protocol: http
  dtab: /svc => /#/io.l5d.fs
  client:
    loadBalancer: {balancer}
    {more}
  servers:
  - {{port: 0, ip: 127.0.0.1}}
"""
BREAKER = """failureAccrual:
      {kind: io.l5d.consecutiveFailures, failures: 1, backoff: {kind: constant, ms: 20}}"""
KINDS = {
    "p2c": "{kind: p2c}",
    "ewma": "{kind: ewma}",
    "aperture": "{kind: aperture, minAperture: 2}",
    "heap": "{kind: heap}",
    "roundRobin": "{kind: roundRobin}",
}
every_kind = pytest.mark.parametrize("balancer", KINDS.values(), ids=KINDS)


@dataclass
class World:
    """A proxy, the origins behind its name `web`, and the file that lists them."""

    proxy: Proxy
    origins: list[Downstream]
    file: Path
    client: WireClient

    def list_(self, *lines: str) -> None:
        self.file.write_text("\n".join(lines))

    def ask(self) -> int:
        return self.client.get("web").status

    def seen(self, name: str) -> float:
        return self.proxy.metrics()[f"rt/http/client/#/io.l5d.fs/web/{name}"]

    @property
    def counts(self) -> list[int]:
        return [len(origin.requests) for origin in self.origins]


def quiet(_: Received) -> bytes:
    return b""


def line(origin: Downstream, weight: str = "") -> str:
    return f"127.0.0.1 {origin.port} {weight}"


@contextmanager
def world(
    root: Path, balancer: str, *weights: str, more: str = "", count: int = 2
) -> Iterator[World]:
    """Run a proxy with *count* origins, listed with *weights*."""
    with ExitStack() as stack:
        origins = [Downstream(quiet) for _ in range(count)]
        for origin in origins:
            stack.callback(origin.close)
        marks = weights or ("",) * count
        lines = [line(origin, mark) for origin, mark in zip(origins, marks, strict=True)]
        (root / "web").write_text("\n".join(lines))
        config = CONFIG.format(root=root, balancer=balancer, more=more)
        proxy = stack.enter_context(Proxy(config))
        client = stack.enter_context(WireClient(proxy.port()))
        yield World(proxy, origins, root / "web", client)


def restarted(origin: Downstream) -> Downstream:
    return Downstream(quiet, port=origin.port)


@every_kind
def test_every_endpoint_gets_requests(balancer: str, tmp_path: Path) -> None:
    with world(tmp_path, balancer, count=3) as made:
        clients = [WireClient(made.proxy.port()) for _ in range(3)]
        for _ in range(60):
            for client in clients:
                client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            assert [client.read().status for client in clients] == [200] * 3
        for client in clients:
            client.close()
        reached = 2 if "aperture" in balancer else 3
        assert sum(count > 0 for count in made.counts) >= reached
        assert sum(made.counts) == 180
        assert made.seen("loadbalancer/load") == 0


@every_kind
def test_an_endpoint_that_dies_is_left_alone_and_used_again_when_back(
    balancer: str, tmp_path: Path
) -> None:
    with world(tmp_path, balancer, more=BREAKER) as made:
        assert {made.ask() for _ in range(30)} == {200}
        lives, dies = made.origins
        dies.close()
        assert {made.ask() for _ in range(60)} == {200}
        wait_until(lambda: made.ask() == 200 and made.seen("failure_accrual/removals") >= 1)
        assert made.seen("failures/connect") >= 1
        with restarted(dies) as back:
            wait_until(lambda: made.ask() == 200 and len(back.requests) > 3)
            assert made.seen("failure_accrual/revivals") >= 1
            wait_until(lambda: made.seen("loadbalancer/available") == 2)
        assert lives.requests


@every_kind
def test_a_request_finishes_on_an_endpoint_that_discovery_removed(
    balancer: str, tmp_path: Path
) -> None:
    go_on = Event()

    def slow(_: Received) -> Answer:
        def body() -> Iterator[bytes]:
            yield b"first "
            go_on.wait(10)
            yield b"second"

        return Answer(body=body())

    with world(tmp_path, balancer, count=2) as made, Downstream(slow) as removed:
        made.list_(line(removed))
        asking = gevent.spawn(made.client.get, "web")
        wait_until(lambda: removed.requests)
        made.list_(line(made.origins[0]))
        wait_until(lambda: made.seen("loadbalancer/removes") == 1)
        with WireClient(made.proxy.port()) as other:
            assert [other.get("web").status for _ in range(3)] == [200] * 3
        assert made.counts == [3, 0]
        assert made.seen("connections") == 2
        go_on.set()
        assert asking.get(timeout=WAIT_S).body == b"first second"
        wait_until(lambda: made.seen("connections") == 1)
        assert made.seen("loadbalancer/load") == 0


@every_kind
def test_weights_in_a_file_are_the_shares_of_the_endpoints(balancer: str, tmp_path: Path) -> None:
    with world(tmp_path, balancer, "* 9", "* 0.5", "* 0.5", count=3) as made:
        assert {made.ask() for _ in range(400)} == {200}
        heavy, *light = made.counts
        assert 320 <= heavy <= 395
        assert sum(light) == 400 - heavy
        assert made.seen("loadbalancer/num_weight_classes") == 2
        made.list_(*(line(origin) for origin in made.origins))
        wait_until(lambda: made.seen("loadbalancer/num_weight_classes") == 1)
        assert made.seen("loadbalancer/adds") == 3
        assert made.seen("loadbalancer/removes") == 0


def test_a_weight_without_an_endpoint_that_answers_is_passed_over(tmp_path: Path) -> None:
    breaker = BREAKER.replace("ms: 20", "ms: 60000")
    with world(tmp_path, "{kind: p2c}", "* 9", "* 1", more=breaker) as made:
        made.origins[0].close()
        assert {made.ask() for _ in range(30)} == {200}
        assert made.counts == [0, 30]
        assert made.seen("failures/connect") == 1
        assert made.seen("loadbalancer/busy_weight_classes") >= 10


def test_on_probation_a_removed_endpoint_is_used_while_it_answers(tmp_path: Path) -> None:
    balancer = "{kind: roundRobin, enableProbation: true}"
    with world(tmp_path, balancer, more=BREAKER.replace("ms: 20", "ms: 60000")) as made:
        stays, removed = made.origins
        made.ask()
        made.list_(line(stays))
        wait_until(lambda: made.seen("loadbalancer/updates") == 2)
        before = made.counts
        assert {made.ask() for _ in range(4)} == {200}
        assert made.counts == [count + 2 for count in before]
        removed.close()
        assert {made.ask() for _ in range(4)} == {200}
        assert made.seen("loadbalancer/size") == 2
        with Downstream(quiet) as new:
            made.list_(line(stays), line(new))
            wait_until(lambda: made.seen("loadbalancer/removes") == 1)


def test_with_fail_fast_an_endpoint_that_refuses_is_out_until_it_accepts(tmp_path: Path) -> None:
    with world(tmp_path, "{kind: roundRobin}", more="failFast: true") as made:
        dies = made.origins[1]
        dies.close()
        assert {made.ask() for _ in range(20)} == {200}
        assert made.seen("failures/connect") == 1
        names = ("marked_dead", "is_marked_dead", "marked_available")
        assert [made.seen(f"failfast/{name}") for name in names] == [1, 1, 0]
        assert made.seen("loadbalancer/busy") == 1
        with restarted(dies) as back:
            wait_until(lambda: made.seen("failfast/marked_available") == 1)
            assert {made.ask() for _ in range(4)} == {200}
            assert len(back.requests) == 2
            assert made.seen("failfast/is_marked_dead") == 0


def test_a_lonely_endpoint_that_fails_fast_is_told_of(tmp_path: Path) -> None:
    with world(tmp_path, "{kind: p2c}", more="failFast: true", count=1) as made:
        made.origins[0].close()
        replies = [made.client.get("web") for _ in range(2)]
        assert [reply.status for reply in replies] == [502, 502]
        assert [reply.get("l5d-retryable") for reply in replies] == ["true", "true"]
        assert "has not succeeded since" in str(replies[1].body)
        assert made.seen("failures/failed_fast") == 1
        assert made.seen("available") == 0


def test_a_load_widens_the_window_of_an_aperture(tmp_path: Path) -> None:
    balancer = "{kind: aperture, smoothWindowMs: 1}"
    go_on = Event()

    def held(_: Received) -> bytes:
        go_on.wait(10)
        return b""

    with world(tmp_path, balancer, count=3) as made, ExitStack() as stack:
        assert {made.ask() for _ in range(10)} == {200}
        assert sorted(made.counts) == [0, 0, 10]
        for origin in made.origins:
            origin.handler = held
        clients: list[WireClient] = []

        def one_more_fills_it() -> bool:
            clients.append(stack.enter_context(WireClient(made.proxy.port())))
            clients[-1].send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            wait_until(lambda: sum(made.counts) == 10 + len(clients))
            return all(made.counts)

        wait_until(one_more_fills_it)
        assert made.seen("loadbalancer/logical_aperture") == 3
        assert made.seen("loadbalancer/loadband/widen") == 2
        go_on.set()
        assert {client.read().status for client in clients} == {200}
        wait_until(lambda: made.ask() == 200 and made.seen("loadbalancer/loadband/narrow") == 2)
        assert made.seen("loadbalancer/logical_aperture") == 1
