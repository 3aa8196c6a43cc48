"""What a configuration becomes, how it starts whole or not at all, and how it stops."""

import json
import logging
from pathlib import Path

import gevent
import pytest

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import load
from meshproxy.runtime.building import CannotStart
from meshproxy.runtime.linker import Linker
from tests.e2e.test_routing import config
from tests.kit.certs import Certs
from tests.kit.downstream import Downstream, Received, SlowDownstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient, get, refuses

SERVER = "- {port: 0, ip: 127.0.0.1}"
TELEMETRY = """
telemetry:
- kind: io.l5d.prometheus
- kind: io.l5d.recentRequests
  sampleRate: 1.0
- kind: io.l5d.statsd
  experimental: true
  hostname: 127.0.0.1
  port: 9
"""


# --- starting ---


def test_what_is_wrong_with_the_text_is_told_before_anything_is_built() -> None:
    with pytest.raises(ConfigErrors, match="dtabb"):
        Linker.load("routers:\n- protocol: http\n  dtabb: x\n  servers: [{port: 0}]\n", "a.yaml")


def test_building_listens_nowhere() -> None:
    linker = Linker.load(config(1), "a.yaml")
    assert (linker.ports, linker.admin_port) == ({}, 0)


@pytest.mark.parametrize("taken", ["first server", "second server", "admin"])
def test_nothing_is_left_running_when_one_port_cannot_be_had(taken: str) -> None:
    with Downstream(lambda _: b"") as other:
        busy = f"- {{port: {other.port}, ip: 127.0.0.1}}"
        match taken:
            case "first server":
                text = config(1).replace(SERVER, f"{busy}\n  {SERVER}")
            case "second server":
                text = config(1).replace(SERVER, f"{SERVER}\n  {busy}")
            case _:
                admin = f"admin: {{ip: 127.0.0.1, port: {other.port}}}"
                text = config(1).replace("admin: {ip: 127.0.0.1, port: 0}", admin)
        linker = Linker.load(text + TELEMETRY, "a.yaml")
        with pytest.raises(CannotStart) as raised:
            linker.start()
        assert str(raised.value) == (
            f"cannot listen on 127.0.0.1:{other.port}: Address already in use"
        )
        assert linker.ports == {}


@pytest.mark.parametrize("side", ["server", "client"])
def test_tls_files_that_have_become_unusable_are_named(tmp_path: Path, side: str) -> None:
    certs = Certs(tmp_path)
    chain, own_key = certs.files("proxy.test")
    if side == "client":
        text = config(1, f"  client: {{tls: {{commonName: x, trustCertsBundle: {certs.bundle}}}}}")
    else:
        tls = f"tls: {{certPath: {chain}, keyPath: {own_key}}}"
        text = config(1).replace(SERVER, f"{SERVER}\n  - {{port: 0, ip: 127.0.0.1, {tls}}}")
    loaded = load(text, "a.yaml")
    for file in (chain, certs.bundle):
        file.write_text("no certificate\n")
    with pytest.raises(CannotStart, match=f"cannot use the {side}'s TLS files "):
        Linker(loaded)


def test_the_log_says_where_it_serves(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), Proxy(config(1)) as proxy:
        assert f"router http: serving http://127.0.0.1:{proxy.port()}" in caplog.text
        assert f"admin: http://127.0.0.1:{proxy.linker.admin_port}" in caplog.text


# --- serving ---


def named(request: Received) -> bytes:
    return (request.get("l5d-dst-service") or "").encode()


def test_every_router_and_server_serves_its_own_names(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    chain, key = certs.files("proxy.test")
    text = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  label: plain
  dtab: /svc => /$/inet/127.0.0.1/{port}
  servers: [{{port: 0, ip: 127.0.0.1}}, {{port: 0, ip: 127.0.0.1}}]
- protocol: http
  label: other
  dstPrefix: /other
  dtab: /other => /$/inet/127.0.0.1/{port}
  servers: [{{port: 0, ip: 127.0.0.1, tls: {{certPath: {chain}, keyPath: {key}}}}}]
"""
    with Downstream(named) as origin:
        filled = text.format(port=origin.port, chain=chain, key=key)
        with Proxy(filled) as proxy:
            assert get(proxy.port("plain", 0), "web").body == b"/svc/web"
            assert get(proxy.port("plain", 1), "web").body == b"/svc/web"
            with WireClient(proxy.port("other"), certs.client(), "proxy.test") as client:
                assert client.get("web").body == b"/other/web"


def test_settings_of_a_server_are_its_own() -> None:
    limited = "- {port: 0, ip: 127.0.0.1, maxCallDepth: 1}"
    unlimited = "- {port: 0, ip: 127.0.0.1, maxConcurrentRequests: 0}"
    text = config(1).replace(SERVER, f"{limited}\n  {unlimited}")
    with (
        Downstream(named) as origin,
        Proxy(text.replace("127.0.0.1/1 ", f"127.0.0.1/{origin.port} ")) as proxy,
    ):
        via = "Via: 1.1 a, 1.1 b"
        assert get(proxy.port(server=0), "web", "/", via).status == 400
        assert get(proxy.port(server=1), "web", "/", via).status == 200


def test_the_admin_pages_are_there() -> None:
    with Proxy(config(1) + TELEMETRY) as proxy:
        port = proxy.linker.admin_port
        assert get(port, "localhost", "/admin/ping").body == b"pong"
        shown = json.loads(get(port, "localhost", "/config.json").body)
        assert shown["routers"][0]["protocol"] == "http"
        assert b"process" in get(port, "localhost", "/admin/metrics/prometheus").body
        assert get(port, "localhost", "/requests").status == 200
        assert get(port, "localhost", "/nowhere").status == 404


def test_requests_that_never_were_are_counted_like_others() -> None:
    with Proxy(config(1)) as proxy:
        with WireClient(proxy.port()) as client:
            client.send(b"nonsense\r\n\r\n")
            assert client.read().status == 400
        server = "rt/http/server/127.0.0.1/0"
        counted = proxy.metrics()
        assert counted[f"{server}/status/400"] == 1
        assert counted[f"{server}/failures/bad_request"] == 1


# --- stopping ---


def test_idle_connections_are_closed_and_running_requests_finish() -> None:
    with SlowDownstream() as origin:
        proxy = Proxy(config(origin.port))
        with WireClient(proxy.port()) as idle, WireClient(proxy.port()) as busy:
            busy.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            origin.wait_asked()
            closing = gevent.spawn(proxy.linker.close)
            assert idle.read_to_end() == b""
            wait_until(lambda: refuses(proxy.port()))
            origin.let_go()
            reply = busy.read()
            assert (reply.body, reply.get("connection")) == (b"finished", "close")
            assert busy.read_to_end() == b""
            assert closing.get() is True


def test_requests_that_outlast_the_grace_period_are_cut() -> None:
    with SlowDownstream() as origin:
        proxy = Proxy(config(origin.port))
        with WireClient(proxy.port()) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            origin.wait_asked()
            assert proxy.linker.close(0.05) is False
            assert client.read_to_end() == b""


def test_the_configured_grace_period_counts_where_none_is_given() -> None:
    with SlowDownstream() as origin:
        soon = "port: 0, shutdownGraceMs: 50}\nrouters"
        proxy = Proxy(config(origin.port).replace("port: 0}\nrouters", soon))
        with WireClient(proxy.port()) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
            origin.wait_asked()
            assert proxy.linker.close() is False


def test_without_traffic_it_stops_at_once_and_twice_is_no_harm() -> None:
    proxy = Proxy(config(1) + TELEMETRY)
    assert proxy.linker.close(0) is True
    assert proxy.linker.close(0) is True


def test_a_shutdown_by_the_admin_server_closes_it_all() -> None:
    proxy = Proxy(config(1))
    with WireClient(proxy.linker.admin_port) as client:
        client.send(
            b"POST /admin/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        )
        assert client.read(b"POST").status == 200
    wait_until(lambda: refuses(proxy.port()) and refuses(proxy.linker.admin_port))
