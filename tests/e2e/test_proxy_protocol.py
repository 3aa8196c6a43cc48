"""Who the client behind a load balancer is, wherever that matters."""

import json
import struct
from pathlib import Path

import pytest
from gevent import socket

from tests.kit.certs import Certs
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import SERVER, Proxy
from tests.kit.wire import WireClient

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  label: http
  dtab: /svc => /$/inet/127.0.0.1/{port}
  httpAccessLog: {log}
  httpAccessLogFormat: json
  egress:
    default: deny
    rules:
    - {{name: lan, action: allow, from: [192.0.2.0/24, "2001:db8::/32"], to: loopback}}
  servers:
  - port: 0
    addXForwardedFor: true
    addForwardedHeader: {{for: {{kind: ip}}}}
    headerReadTimeoutMs: 400
    proxyProtocolFrom: {ranges}
    {tls}
"""
V1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 4000 80\r\n"
V2 = (
    b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24"
    + socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "::1")
    + struct.pack("!HH", 4000, 80)
)
GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"


def page(_: object) -> bytes:
    return b"page"


def config(tmp_path: Path, port: int, ranges: str = "127.0.0.0/8", tls: str = "") -> str:
    return CONFIG.format(port=port, log=tmp_path / "log", ranges=ranges, tls=tls)


def entries(tmp_path: Path, count: int) -> list[dict]:
    log = tmp_path / "log"
    wait_until(lambda: log.exists() and log.read_text().count("\n") >= count)
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize(
    ("header", "client"), [(V1, "192.0.2.7"), (V2, "2001:db8::7")], ids=["v1", "v2"]
)
def test_the_address_in_the_header_is_the_client_everywhere(
    tmp_path: Path, header: bytes, client: str
) -> None:
    with Downstream(page) as web, Proxy(config(tmp_path, web.port)) as proxy:
        with WireClient(proxy.port()) as asking:
            asking.send(header + GET)
            assert asking.read().status == 200
            assert asking.get("web").status == 200
        told = web.requests[1]
        shown = f'for="[{client}]"' if ":" in client else f"for={client}"
        assert told.get("x-forwarded-for") == client
        assert shown in (told.get("forwarded") or "")
        assert [
            (one["remote"].rpartition(":")[0].strip("[]"), one["caller"])
            for one in entries(tmp_path, 2)
        ] == [(client, client)] * 2


def test_one_that_leaves_it_to_the_socket_is_the_load_balancer_itself(tmp_path: Path) -> None:
    with Downstream(page) as web, Proxy(config(tmp_path, web.port)) as proxy:
        for header in (b"PROXY UNKNOWN\r\n", V2[:12] + b"\x20\x00\x00\x00"):
            with WireClient(proxy.port()) as asking:
                asking.send(header + GET)
                assert asking.read().status == 403
        assert [one["caller"] for one in entries(tmp_path, 2)] == ["127.0.0.1"] * 2


BAD = [GET, b"PROXY TCP4 x\r\n", V2[:14] + b"\x02\x09", b"PROXY TCP4 ", b""]


@pytest.mark.parametrize("sent", BAD, ids=["missing", "broken", "long", "late", "nothing"])
def test_without_a_good_header_nothing_is_served(tmp_path: Path, sent: bytes) -> None:
    with Downstream(page) as web, Proxy(config(tmp_path, web.port)) as proxy:
        with WireClient(proxy.port()) as asking:
            asking.send(sent)
            reply = asking.read()
            assert reply.status == 400
            assert "proxyProtocolFrom" in (reply.get("l5d-err") or "")
        assert web.requests == []
        proxy.wait_count(SERVER, "proxy_protocol_failures")


@pytest.mark.parametrize("header", [V1, V2])
def test_others_may_not_send_one(tmp_path: Path, header: bytes) -> None:
    text = config(tmp_path, 1, ranges="[10.0.0.0/8]")
    with Proxy(text) as proxy, WireClient(proxy.port()) as asking:
        asking.send(header + GET)
        assert asking.read().status == 400
        assert proxy.counts(SERVER, "proxy_protocol_failures") == [0]


def test_a_range_of_ipv4_is_for_a_server_of_both_families_too(tmp_path: Path) -> None:
    with Downstream(page) as web:
        text = config(tmp_path, web.port).replace("  - port: 0\n", "  - port: 0\n    ip: '::'\n")
        with Proxy(text) as proxy, WireClient(proxy.port()) as asking:
            asking.send(V1 + GET)
            assert asking.read().status == 200
        assert web.requests[0].get("x-forwarded-for") == "192.0.2.7"


def test_it_comes_before_tls(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    chain, key = certs.files("proxy.test")
    tls = f"tls: {{certPath: {chain}, keyPath: {key}}}"
    with Downstream(page) as web, Proxy(config(tmp_path, web.port, tls=tls)) as proxy:
        with WireClient(proxy.port()) as asking:
            asking.send(V1)
            asking.sock = certs.client().wrap_socket(asking.sock, server_hostname="proxy.test")
            assert asking.get("web").status == 200
            assert web.requests[0].get("x-forwarded-for") == "192.0.2.7"
        with WireClient(proxy.port()) as asking:
            asking.send(GET)
            with pytest.raises(ConnectionResetError):
                asking.read_to_end()
        proxy.wait_count(SERVER, "proxy_protocol_failures")
