"""Collectors and disks may fail: no request is lost or slower for it, and all loss is counted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gevent import socket

from tests.e2e.test_access_log import config as logging_to
from tests.e2e.test_access_log import lines
from tests.e2e.test_routing import config
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import get

STATSD = """
telemetry:
- {{kind: io.l5d.statsd, experimental: true, hostname: {host}, port: {port}, gaugeIntervalMs: 10}}
"""


@contextmanager
def telling(host: str, port: int) -> Iterator[Proxy]:
    """A proxy that tells statsd at *host*:*port*, often."""
    telemetry = STATSD.format(host=host, port=port)
    with Downstream(lambda _: b"x") as origin, Proxy(telemetry + config(origin.port)) as proxy:
        yield proxy


def closed_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"], ids=["closed", "unknown"])
def test_a_collector_that_is_not_there_costs_lines_only(host: str) -> None:
    with telling(host, closed_udp_port()) as proxy:
        assert {get(proxy.port(), "web").status for _ in range(5)} == {200}
        wait_until(lambda: proxy.counts("telemeter/statsd", "dropped")[0] > 0)
        assert {get(proxy.port(), "web").status for _ in range(5)} == {200}


def test_a_collector_that_reads_nothing_holds_up_nobody() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.bind(("127.0.0.1", 0))
        with telling("127.0.0.1", deaf.getsockname()[1]) as proxy:
            before, _ = proxy.counts("process", "rss", "uptime")
            assert {get(proxy.port(), "web").status for _ in range(200)} == {200}
            after, _ = proxy.counts("process", "rss", "uptime")
            assert after - before < 8 << 20


def test_a_collector_that_comes_back_is_told_again() -> None:
    port = closed_udp_port()
    with telling("127.0.0.1", port) as proxy:
        wait_until(lambda: proxy.counts("telemeter/statsd", "dropped")[0] > 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
            collector.bind(("127.0.0.1", port))
            collector.settimeout(10)
            assert b"linkerd." in collector.recv(65536)


def test_a_directory_that_goes_fails_no_request(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "a.log"
    with Downstream(lambda _: b"x") as origin, Proxy(logging_to(origin.port, path)) as proxy:
        assert get(proxy.port(), "web", "/before").status == 200
        lines(path, 1)
        shutil.rmtree(folder)
        assert get(proxy.port(), "web", "/lost").status == 200
        proxy.wait_count("rt/http/access_log", "failures")
        folder.mkdir()
        assert get(proxy.port(), "web", "/kept").status == 200
        (line,) = lines(path, 1)
    assert '"GET /kept HTTP/1.1"' in line
