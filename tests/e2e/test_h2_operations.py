"""Reload, drain and a worker's death while clients of HTTP/2 keep asking."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import gevent
import pytest
from h2.errors import ErrorCodes
from h2.events import Event, RequestReceived

from meshproxy.net.h2.memory import memory
from tests.e2e.test_command import Serving
from tests.e2e.test_workers import is_running, pids, with_workers
from tests.kit.daemons import START_S
from tests.kit.downstream import Downstream
from tests.kit.h2_endpoint import H2Endpoint, Peer
from tests.kit.h2_load import STREAMS, h2_load
from tests.kit.h2_wire import GET, H2Wire
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import dial

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: h2
  dtab: /svc => /$/inet/127.0.0.1/{port}
  client: {{protocol: {protocol}}}
  servers:
  - {{port: 0, ip: 127.0.0.1{keys}}}
"""


STALLED = 20
"""Bodies that wait for a client: more than the window of a connection would let."""


def config(port: int, protocol: str = "h2", keys: str = "") -> str:
    """Return a router of HTTP/2 to an endpoint of *protocol*, with *keys* of its server."""
    return CONFIG.format(port=port, protocol=protocol, keys=keys)


@pytest.fixture
def endpoint() -> Iterator[H2Endpoint]:
    with H2Endpoint() as running:
        yield running


def test_ten_reloads_with_other_keys_of_the_server_fail_no_stream(
    tmp_path: Path, endpoint: H2Endpoint
) -> None:
    serving = Serving(config(endpoint.port), tmp_path)
    with serving.daemon, h2_load(serving.port) as seen:
        for number in range(10):
            before = len(seen.answered)
            keys = (
                f", maxConcurrentStreamsPerConnection: {100 + number}, maxCallDepth: {50 + number}"
            )
            serving.reload(config(endpoint.port, keys=keys))
            wait_until(lambda before=before: len(seen.answered) > before + 8)
    assert (seen.lost, seen.goaways, seen.refusals) == ([], 0, 0)
    assert set(seen.answered) == {(200, b"ok")}


def test_a_reload_to_endpoints_of_http_1_fails_no_stream(
    tmp_path: Path, endpoint: H2Endpoint
) -> None:
    with Downstream(lambda _: b"one") as other:
        serving = Serving(config(endpoint.port), tmp_path)
        with serving.daemon, h2_load(serving.port) as seen:
            for text in (config(other.port, "http"), config(endpoint.port)) * 3:
                before = len(seen.answered)
                serving.reload(text)
                wait_until(lambda before=before: len(seen.answered) > before + 50)
    assert (seen.lost, seen.goaways, seen.refusals) == ([], 0, 0)
    assert set(seen.answered) == {(200, b"ok"), (200, b"one")}


def test_resets_of_many_clients_end_no_request_of_another() -> None:
    """Two proxies in a row: to the second one, all clients of the first are one."""
    asked = 190
    with ExitStack() as stack:
        slow = stack.enter_context(H2Endpoint(lambda *_: None))
        inner = stack.enter_context(Proxy(config(slow.port)))
        outer = stack.enter_context(Proxy(config(inner.port("h2"))))

        def client() -> H2Wire:
            address = ("127.0.0.1", outer.port("h2"))
            return H2Wire(stack.enter_context(dial(address)))

        quiet = client()
        waiting = quiet.ask((*GET[:3], (":path", "/quiet")))
        for number in range(1, 5):
            hasty = client()
            streams = [hasty.ask() for _ in range(asked)]
            seen = 1 + number * asked
            wait_until(lambda seen=seen: sum(len(peer.heads) for peer in slow.peers) == seen)
            for stream in streams:
                hasty.h2.reset_stream(stream, ErrorCodes.CANCEL)
            hasty.flush()
        wait_until(lambda: sum(len(peer.resets) for peer in slow.peers) >= 100)
        (peer, stream) = next(
            (peer, stream)
            for peer in slow.peers
            for stream, head in peer.heads.items()
            if head[":path"] == "/quiet"
        )
        peer.reply(stream, b"at last")
        assert quiet.body(waiting) == b"at last"


def test_a_client_that_reads_nothing_holds_up_no_other_of_the_endpoint() -> None:
    def script(peer: Peer, event: Event) -> None:
        if isinstance(event, RequestReceived):
            large = peer.heads[event.stream_id][":path"] == "/large"
            gevent.spawn(peer.reply, event.stream_id, bytes(200_000) if large else b"ok")

    with H2Endpoint(script) as endpoint, Proxy(config(endpoint.port)) as proxy:
        address = ("127.0.0.1", proxy.port("h2"))
        with (
            dial(address) as hostile,
            dial(address) as honest,
        ):
            stalling = H2Wire(hostile)
            for _ in range(STALLED):
                stalling.ask((*GET[:3], (":path", "/large")))
            wait_until(lambda: memory.total > STALLED * 130_000)
            wire = H2Wire(honest)
            assert wire.body(wire.ask()) == b"ok"
            assert wire.body(wire.ask((*GET[:3], (":path", "/large")))) == bytes(200_000)
            assert len(endpoint.peers) == 1
        wait_until(lambda: memory.total == 0)


def test_a_drain_answers_every_stream_that_it_has_taken(
    tmp_path: Path, endpoint: H2Endpoint
) -> None:
    serving = Serving(config(endpoint.port), tmp_path)
    with serving.daemon as daemon, h2_load(serving.port) as seen:
        wait_until(lambda: len(seen.answered) > 50)
        daemon.process.send_signal(signal.SIGTERM)
        assert gevent.spawn(daemon.process.wait, START_S).get() == 0
        wait_until(lambda: seen.refusals > 0)
    assert seen.lost == []
    assert seen.goaways >= 4
    assert set(seen.answered) == {(200, b"ok")}


def test_a_worker_that_is_killed_takes_only_its_own_connections_with_it(
    tmp_path: Path, endpoint: H2Endpoint
) -> None:
    serving = Serving(with_workers(config(endpoint.port)), tmp_path)
    with serving.daemon, h2_load(serving.port, clients=8) as seen:
        wait_until(lambda: len(seen.answered) > 50)
        victim = pids(serving)[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(pids(serving)) == 2 and victim not in pids(serving), START_S)
        assert all(map(is_running, pids(serving)))
        before = len(seen.answered)
        wait_until(lambda: len(seen.answered) > before + 50)
    assert len(seen.lost) <= 8 * STREAMS
    assert seen.refusals == 0
    assert all("the connection ended" in one for one in seen.lost)
    assert set(seen.answered) == {(200, b"ok")}
