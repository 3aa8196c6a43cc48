"""A process that serves until it is told to stop, and how it ends."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from tests.e2e.test_command import Serving
from tests.e2e.test_routing import config
from tests.kit.daemons import START_S
from tests.kit.downstream import Downstream, SlowDownstream
from tests.kit.k8s import wait_until
from tests.kit.wire import CutShort, NoReply, WireClient, refuses

GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"


@pytest.fixture
def slow() -> Iterator[SlowDownstream]:
    with SlowDownstream() as origin:
        yield origin


def test_no_request_is_cut_by_a_signal_under_load(tmp_path: Path) -> None:
    """Every response is whole; the last one of each connection says that it is."""
    ended: list[str] = []

    def load(port: int) -> None:
        closing: str | None = None
        try:
            with WireClient(port) as client:
                while closing != "close":
                    reply = client.get("web")
                    assert (reply.status, reply.body) == (200, b"served")
                    closing = reply.get("connection")
        except (NoReply, ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            ended.append("idle")
        except CutShort:
            ended.append("cut")
        else:
            ended.append("told")

    with Downstream(lambda _: b"served") as origin:
        serving = Serving(config(origin.port), tmp_path)
        with serving.daemon as daemon:
            clients = [gevent.spawn(load, serving.port) for _ in range(8)]
            wait_until(lambda: len(origin.requests) > 200)
            daemon.process.send_signal(signal.SIGTERM)
            gevent.joinall(clients, timeout=START_S, raise_error=True)
            assert gevent.spawn(daemon.process.wait, START_S).get() == 0
    assert len(ended) == 8
    assert "cut" not in ended


def test_nobody_is_accepted_any_more_while_it_ends(tmp_path: Path, slow: SlowDownstream) -> None:
    serving = Serving(config(slow.port), tmp_path)
    with serving.daemon as daemon, WireClient(serving.port) as client:
        client.send(GET)
        slow.wait_asked()
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "received SIGTERM" in daemon.output())
        wait_until(lambda: refuses(serving.port))
        slow.let_go()
        assert client.read().get("connection") == "close"
        assert gevent.spawn(daemon.process.wait, START_S).get() == 0


def test_the_grace_period_has_an_end(tmp_path: Path, slow: SlowDownstream) -> None:
    soon = "port: 0, shutdownGraceMs: 50}\nrouters"
    text = config(slow.port).replace("port: 0}\nrouters", soon)
    serving = Serving(text, tmp_path)
    with serving.daemon as daemon, WireClient(serving.port) as client:
        client.send(GET)
        slow.wait_asked()
        assert daemon.stop() == 0
        assert client.read_to_end() == b""
        assert "the grace period is over" in daemon.output()


def test_a_shutdown_may_bring_its_own_grace_period(tmp_path: Path, slow: SlowDownstream) -> None:
    serving = Serving(config(slow.port), tmp_path)
    with serving.daemon as daemon, WireClient(serving.port) as client:
        client.send(GET)
        slow.wait_asked()
        with WireClient(serving.admin_port) as admin:
            admin.send(
                b"POST /admin/shutdown?grace=50.milliseconds HTTP/1.1\r\n"
                b"Host: localhost\r\nContent-Length: 0\r\n\r\n"
            )
            assert admin.read(b"POST").status == 200
        assert gevent.spawn(daemon.process.wait, START_S).get() == 0
        assert "received POST /admin/shutdown" in daemon.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_after_the_start_is_an_orderly_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    serving = Serving(config(1), tmp_path)
    with serving.daemon as daemon:
        assert daemon.stop(number) == 0
        assert re.search(rf"received {number.name}", daemon.output())
        assert "Traceback" not in daemon.output()


def test_a_second_signal_ends_it_at_once(tmp_path: Path, slow: SlowDownstream) -> None:
    serving = Serving(config(slow.port), tmp_path)
    with serving.daemon as daemon, WireClient(serving.port) as client:
        client.send(GET)
        slow.wait_asked()
        daemon.process.send_signal(signal.SIGINT)
        wait_until(lambda: "received SIGINT" in daemon.output())
        daemon.process.send_signal(signal.SIGTERM)
        assert gevent.spawn(daemon.process.wait, 5).get() == 1
        assert "received SIGTERM again" in daemon.output()
