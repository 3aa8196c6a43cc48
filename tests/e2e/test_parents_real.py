"""Parent proxies that others wrote: squid and tinyproxy, with a name server of their own."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from tests.kit.certs import Certs
from tests.kit.daemons import Daemon, Named, Squid, Tinyproxy, find
from tests.kit.dns import DnsServer
from tests.kit.downstream import Downstream
from tests.kit.namespace import Namespace, Unavailable, have
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient, free_port, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: ["127.0.0.1:{dns}"]}}
routers:
- protocol: http
  label: http
  dtab: |
    /ph  => /$/io.buoyant.rinet ;
    /svc => /ph/80 ;
    /svc => /$/io.buoyant.porthostPfx/ph ;
  egress: {{}}
  servers:
  - {{port: 0, ip: 127.0.0.1, connectPorts: [80, 443]}}
  client:
    kind: io.l5d.static
    configs:
    - prefix: /
      upstreamProxy: {{addresses: ["127.0.0.1:{parent}"]{more}}}
    - prefix: "/$/io.buoyant.rinet/443/{{host}}"
      tls: {{commonName: "{{host}}", trustCertsBundle: {bundle}}}
"""
KINDS = {"squid": Squid, "tinyproxy": Tinyproxy}


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    missing = [one for one in (*KINDS, "named") if find(one) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with ExitStack() as stack:
        try:
            stack.enter_context(Namespace())
        except Unavailable as why:
            pytest.skip(str(why))
        have("8.8.8.8")
        yield


@dataclass
class World:
    """Servers at an address that only the parent's name server knows, and two parents."""

    directory: Path
    dns: DnsServer
    named: Named
    certs: Certs
    stack: ExitStack

    def parent(self, kind: str, *more: object) -> int:
        """Start a parent, and return its port."""
        port = free_port()
        make: Callable[..., Daemon] = KINDS[kind]
        self.stack.enter_context(make(self.directory, port, *more))
        return port

    def proxy(self, parent: int, more: str = "") -> Proxy:
        """Start a proxy whose clients have that parent."""
        text = CONFIG.format(dns=self.dns.port, parent=parent, more=more, bundle=self.certs.bundle)
        return self.stack.enter_context(Proxy(text))


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.chmod(0o777)
        certs = Certs(directory)
        context = certs.server("web.test")
        stack.enter_context(Downstream(lambda _: b"web", "8.8.8.8", 80))
        stack.enter_context(Downstream(lambda _: b"safe", "8.8.8.8", 443, context))
        dns = stack.enter_context(DnsServer())
        named = stack.enter_context(Named(directory, 60))
        named.know({"web.test": "8.8.8.8", "forbidden.test": "8.8.8.8"})
        yield World(directory, dns, named, certs, stack)


def said(reply: Reply) -> str:
    return unquote_plus(reply.get("l5d-err") or "")


@pytest.mark.parametrize("kind", KINDS)
def test_plain_text_tls_and_tunnels_go_through_it(world: World, kind: str) -> None:
    proxy = world.proxy(world.parent(kind))
    for _ in range(2):
        assert get(proxy.port(), "web.test").body == b"web"
        assert get(proxy.port(), "web.test:443").body == b"safe"
    assert get(proxy.port(), "x", "http://web.test/").body == b"web"
    with WireClient(proxy.port()) as client:
        client.send(b"CONNECT web.test:443 HTTP/1.1\r\nHost: web.test:443\r\n\r\n")
        assert client.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        client.sock = world.certs.client().wrap_socket(client.sock, server_hostname="web.test")
        assert client.get("web.test").body == b"safe"


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_cannot_find_is_502(world: World, kind: str) -> None:
    proxy = world.proxy(world.parent(kind))
    reply = get(proxy.port(), "nowhere.test")
    assert (reply.status, "its response is 50" in said(reply)) == (502, True)


def test_what_it_forbids_is_said(world: World) -> None:
    parent = world.parent("squid")
    reply = get(world.proxy(parent).port(), "forbidden.test")
    assert reply.status == 502
    assert said(reply).startswith(
        f"The parent proxy 127.0.0.1:{parent} refuses the connection: 403"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_it_wants_to_know_who_asks(world: World, kind: str) -> None:
    passwords, secret = world.directory / "passwords", world.directory / "secret"
    command = ["openssl", "passwd", "-1", "hush"]
    hashed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    passwords.write_text(f"user:{hashed}")
    parent = world.parent(kind, passwords if kind == "squid" else "user hush")
    reply = get(world.proxy(parent).port(), "web.test")
    assert (reply.status, "credentialsFile" in said(reply)) == (502, True)
    secret.write_text("user:wrong\n")
    more = f", credentialsFile: {secret}"
    reply = get(world.proxy(parent, more).port(), "web.test")
    assert reply.status == 502
    secret.write_text("user:hush\n")
    assert get(world.proxy(parent, more).port(), "web.test").body == b"web"
