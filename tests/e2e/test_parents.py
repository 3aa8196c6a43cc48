"""Clients behind parent proxies: what they are told, when the next one is asked, what may pass."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

import pytest
from h2.events import ResponseReceived

from tests.kit.certs import Certs
from tests.kit.dns import DnsServer
from tests.kit.downstream import Downstream
from tests.kit.h2_endpoint import H2Endpoint
from tests.kit.h2_wire import GET, H2Wire
from tests.kit.k8s import wait_until
from tests.kit.parent import Parent
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient, dial, free_port, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: ["127.0.0.1:{dns}"], minTtlSecs: 1, maxTtlSecs: 1}}
routers:
- protocol: http
  label: http
  dtab: |
    /ph  => /$/io.buoyant.rinet ;
    /svc => /ph/80 ;
    /svc => /$/io.buoyant.porthostPfx/ph ;
    /svc/wired => /$/inet/127.0.0.1/{wired} ;
  {egress}
  servers:
  - {{port: 0, ip: 127.0.0.1, connectPorts: [80, 443]}}
  client:
    kind: io.l5d.static
    configs:
    - prefix: /
      upstreamProxy: {{addresses: [{parents}]{more}}}
      failureAccrual: {{kind: io.l5d.consecutiveFailures, failures: 1}}
    - prefix: "/$/io.buoyant.rinet/443/{{host}}"
      tls: {{commonName: "{{host}}", trustCertsBundle: {bundle}}}
    - prefix: /$/inet
      upstreamProxy: {{addresses: []}}
"""
CLIENT = "rt/http/client/$/io.buoyant.rinet"


@dataclass
class World:
    """A web server in plain text and one in TLS, which only parents can reach by their names."""

    dns: DnsServer
    web: Downstream
    safe: Downstream
    certs: Certs
    stack: ExitStack

    def parent(self, **more: object) -> Parent:
        """Start a parent that knows both servers."""
        names = {
            "web.test:80": ("127.0.0.1", self.web.port),
            "web.test:443": ("127.0.0.1", self.safe.port),
        }
        return self.stack.enter_context(Parent(names, **more))  # type: ignore[arg-type]

    def proxy(self, *parents: Parent | str, egress: str = "egress: {}", more: str = "") -> Proxy:
        """Start a proxy whose clients have *parents*."""
        addresses = [one if isinstance(one, str) else one.address for one in parents]
        text = CONFIG.format(
            dns=self.dns.port,
            wired=self.web.port,
            egress=egress,
            parents=", ".join(f"'{one}'" for one in addresses),
            more=more,
            bundle=self.certs.bundle,
        )
        return self.stack.enter_context(Proxy(text))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        certs = Certs(tmp_path)
        dns = stack.enter_context(DnsServer())
        dns.put("web.test", "8.8.8.8")
        web = stack.enter_context(Downstream(lambda _: b"web"))
        safe = stack.enter_context(Downstream(lambda _: b"safe", context=certs.server("web.test")))
        yield World(dns, web, safe, certs, stack)


def said(reply: Reply) -> str:
    return unquote_plus(reply.get("l5d-err") or "")


def connect(proxy: Proxy, authority: str) -> Reply:
    with WireClient(proxy.port()) as client:
        client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        return client.read(b"CONNECT")


def test_a_parent_is_asked_for_the_name_in_every_form(world: World) -> None:
    parent = world.parent()
    proxy = world.proxy(parent)
    assert get(proxy.port(), "web.test").body == b"web"
    assert get(proxy.port(), "web.test:443").body == b"safe"
    assert get(proxy.port(), "x", "http://web.test/").body == b"web"
    assert parent.asked == ["web.test:80", "web.test:443"]
    assert b"\r\nVia: 1.1 linkerd\r\n" in parent.heads[0]
    with WireClient(proxy.port()) as client:
        client.send(b"CONNECT web.test:80 HTTP/1.1\r\nHost: web.test:80\r\n\r\n")
        assert client.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert client.get("web.test").body == b"web"
    assert parent.asked[2:] == ["web.test:80"]
    assert world.safe.server_names == ["web.test"]


def test_a_prefix_without_parents_is_reached_directly(world: World) -> None:
    parent = world.parent()
    assert get(world.proxy(parent).port(), "wired").body == b"web"
    assert parent.asked == []


def test_connections_through_a_parent_are_kept(world: World) -> None:
    parent = world.parent()
    proxy = world.proxy(parent)
    for _ in range(3):
        assert get(proxy.port(), "web.test").status == 200
    assert parent.asked == ["web.test:80"]


def test_a_name_unknown_here_goes_to_the_parent_if_the_rules_allow_its_host(world: World) -> None:
    world.dns.remove("web.test")
    rules = """egress:
    default: deny
    rules:
    - {name: no-private, action: deny, to: private}
    - {name: inside, action: allow, host: in.test, to: private}
    - {name: web, action: allow, host: web.test}"""
    parent = world.parent()
    proxy = world.proxy(parent, egress=rules)
    assert get(proxy.port(), "web.test").body == b"web"
    assert get(proxy.port(), "other.test").status == 403
    reply = get(proxy.port(), "in.test")
    assert (reply.status, "in.test is unknown here" in said(reply)) == (403, True)
    assert parent.asked == ["web.test:80"]
    world.dns.faults["web.test"] = "servfail"
    assert get(world.proxy(parent).port(), "web.test").body == b"web"


@pytest.mark.parametrize("bad", ["127.0.0.1", "169.254.169.254", "::1"])
def test_what_our_own_look_up_finds_is_judged_before_a_parent_hears_of_it(
    world: World, bad: str
) -> None:
    world.dns.put("web.test", "8.8.8.8", bad)
    parent = world.parent()
    proxy = world.proxy(parent)
    for form in ("/", "http://web.test/"):
        reply = get(proxy.port(), "web.test", form)
        assert (reply.status, f"leads to {bad}" in said(reply)) == (403, True)
    assert connect(proxy, "web.test:443").status == 403
    assert parent.asked == []


PROBATION = "}\n      loadBalancer: {kind: p2c, enableProbation: true"


@pytest.mark.parametrize("more", ["", PROBATION], ids=["", "probation"])
def test_a_name_that_is_bound_again_is_judged_again(world: World, more: str) -> None:
    parent = world.parent()
    proxy = world.proxy(parent, more=more)
    world.dns.put("web.test", "8.8.8.8", ttl=1)
    with WireClient(proxy.port()) as client:
        assert client.get("web.test").status == 200
        world.dns.put("web.test", "127.0.0.1", ttl=1)
        wait_until(lambda: client.get("web.test").status == 403)
        before = len(parent.asked)
        assert client.get("web.test").status == 403
        assert len(parent.asked) == before
        world.dns.put("web.test", "8.8.8.8", ttl=1)
        wait_until(lambda: client.get("web.test").status == 200)


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433"])
@pytest.mark.parametrize("egress", ["", "egress: {}"])
def test_no_parent_is_told_a_number_in_disguise(world: World, host: str, egress: str) -> None:
    parent = world.parent(answer=200)
    proxy = world.proxy(parent, egress=egress)
    assert get(proxy.port(), host).status in (400, 403, 502)
    assert get(proxy.port(), "x", "/", f"l5d-dtab: /svc => /ph/80/{host}").status in (403, 502)
    assert parent.asked == []


def test_a_refusal_is_said_once_and_marks_nothing_dead(world: World) -> None:
    first, second = world.parent(answer=403), world.parent()
    proxy = world.proxy(first, second)
    for _ in range(3):
        reply = get(proxy.port(), "web.test")
        assert (reply.status, said(reply)) == (
            502,
            f"The parent proxy {first.address} refuses the connection: 403 Said So",
        )
    assert (len(first.asked), second.asked) == (3, [])
    scope = f"{CLIENT}/80/web.test"
    assert proxy.counts(scope, "upstream_proxy/refusals", "failure_accrual/removals") == [3, 0]
    first.answer = 407
    assert "407 Said So; user:password belong in credentialsFile" in said(
        get(proxy.port(), "web.test")
    )


def test_the_next_parent_serves_when_one_is_down(world: World) -> None:
    gone, failing, good = f"127.0.0.1:{free_port()}", world.parent(answer=503), world.parent()
    proxy = world.proxy(gone, failing, good)
    assert get(proxy.port(), "web.test").body == b"web"
    assert get(proxy.port(), "web.test:443").body == b"safe"
    assert proxy.counts(f"{CLIENT}/80/web.test", "upstream_proxy/failures") == [2]


def test_when_all_are_down_it_is_502_or_direct(world: World) -> None:
    gone = f"127.0.0.1:{free_port()}"
    proxy = world.proxy(gone)
    reply = get(proxy.port(), "web.test")
    assert reply.status == 502
    assert f"no parent proxy serves: {gone}: Connection refused" in said(reply)
    world.dns.put("direct.test", "127.0.0.1")
    rules = "egress: {rules: [{name: lo, action: allow, to: [loopback, public]}]}"
    proxy = world.proxy(gone, egress=rules, more=", orDirect: true")
    host = f"direct.test:{world.web.port}"
    assert get(proxy.port(), host).body == b"web"
    scope = f"{CLIENT}/{world.web.port}/direct.test"
    assert proxy.counts(scope, "upstream_proxy/direct") == [1]
    world.dns.remove("direct.test")


def test_two_proxies_that_are_each_other_s_parent_end_the_loop(world: World) -> None:
    port = free_port()
    first = world.proxy(f"127.0.0.1:{port}")
    text = CONFIG.format(
        dns=world.dns.port,
        wired=1,
        egress="",
        parents=f"'127.0.0.1:{first.port()}'",
        more="",
        bundle=world.certs.bundle,
    ).replace("{port: 0, ip: 127.0.0.1, con", f"{{port: {port}, ip: 127.0.0.1, con")
    world.stack.enter_context(Proxy(text))
    reply = get(first.port(), "web.test")
    assert (reply.status, "responds with 508" in said(reply)) == (508, True)


def test_a_name_of_this_proxy_is_told_to_no_parent(world: World) -> None:
    parent = world.parent(answer=200)
    world.dns.put("us.test", "127.0.0.1", "8.8.8.8")
    proxy = world.proxy(parent, egress="")
    assert get(proxy.port(), f"us.test:{proxy.port()}").status == 508
    assert parent.asked == []


def test_a_proxy_is_not_its_own_parent(world: World) -> None:
    port = free_port()
    text = CONFIG.format(
        dns=world.dns.port,
        wired=1,
        egress="",
        parents=f"'127.0.0.1:{port}'",
        more="",
        bundle=world.certs.bundle,
    ).replace("{port: 0, ip: 127.0.0.1, con", f"{{port: {port}, ip: 127.0.0.1, con")
    proxy = world.stack.enter_context(Proxy(text))
    reply = get(proxy.port(), "web.test")
    assert (reply.status, "a loop, router http of this proxy" in said(reply)) == (502, True)


def test_the_example_of_a_corporate_network_does_what_it_says(world: World, tmp_path: Path) -> None:
    parent = world.parent()
    parent.names |= {
        "pypi.org:80": ("127.0.0.1", world.web.port),
        "api.bank.test:443": ("127.0.0.1", world.safe.port),
    }
    (tmp_path / "parent").write_text("us:hush")
    (tmp_path / "partner-key").write_text("key")
    text = (Path(__file__).parents[2] / "conf/corporate.yaml").read_text()
    text = text.replace("/etc/meshproxy", str(tmp_path)).replace("/dev/stdout", f"{tmp_path}/log")
    text = text.replace("parent-a.corp.test:3128, parent-b.corp.test:3128", parent.address)
    text = text.replace("port: 4140", "port: 0")
    text += f"admin: {{port: 0}}\ndns: {{nameservers: ['127.0.0.1:{world.dns.port}']}}\n"
    world.dns.put("in.corp.test", "10.255.255.1")
    world.dns.put("api.partner.test", "169.254.169.254")
    with Proxy(text) as proxy:
        port = proxy.port("egress")
        assert get(port, "pypi.org").body == b"web"
        with WireClient(port) as client:
            client.send(b"CONNECT api.bank.test:443 HTTP/1.1\r\nHost: api.bank.test:443\r\n\r\n")
            assert client.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert get(port, "api.bank.test").status == 403
        assert get(port, "example.test").status == 403
        assert get(port, "api.partner.test:443").status == 403
        assert get(port, "in.corp.test").status == 502
    assert parent.asked == ["pypi.org:80", "api.bank.test:443"]
    assert all(b"Proxy-Authorization: Basic dXM6aHVzaA==" in head for head in parent.heads)
    assert {name for name, _, _ in world.dns.asked} == {
        *("pypi.org", "api.bank.test", "api.partner.test", "in.corp.test")
    }


H2_CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: ["127.0.0.1:{dns}"]}}
routers:
- protocol: h2
  label: h2
  dtab: /svc => /$/io.buoyant.rinet/{port}
  egress: {{default: deny, rules: [{{name: lan, action: allow, from: 192.0.2.7, host: web.test}}]}}
  servers:
  - {{port: 0, ip: 127.0.0.1, proxyProtocolFrom: 127.0.0.1}}
  client:
    upstreamProxy: {{addresses: "{parent}"}}
    injectHeaders: [{{name: X-Key, file: {key}, overPlainText: true}}]
    {tls}
"""


@pytest.mark.parametrize("protocol", ["h2", "auto"])
@pytest.mark.parametrize("is_tls", [True, False])
def test_http_2_has_load_balancers_parents_and_secrets_too(
    world: World, tmp_path: Path, protocol: str, is_tls: bool
) -> None:
    (tmp_path / "key").write_text("s3cret")
    context = world.certs.server("web.test") if is_tls else None
    if context is not None:
        context.set_alpn_protocols(["h2"])
    tls = f"tls: {{commonName: web.test, trustCertsBundle: {world.certs.bundle}}}" * is_tls
    if protocol == "auto" and is_tls:
        tls = f"protocol: auto\n    {tls}"
    with H2Endpoint(tls=context) as endpoint:
        host = f"web.test:{endpoint.port}"
        parent = world.stack.enter_context(Parent({host: ("127.0.0.1", endpoint.port)}))
        text = H2_CONFIG.format(
            dns=world.dns.port,
            port=endpoint.port,
            parent=parent.address,
            key=tmp_path / "key",
            tls=tls,
        )
        with Proxy(text) as proxy:
            statuses = {}
            for client in ("192.0.2.7", "192.0.2.8"):
                sock = dial(("127.0.0.1", proxy.port("h2")))
                with sock:
                    sock.sendall(f"PROXY TCP4 {client} 10.0.0.1 4000 80\r\n".encode())
                    wire = H2Wire(sock)
                    asked = wire.ask((*GET[:2], (":authority", "web.test"), *GET[3:]))
                    head = dict(wire.until(ResponseReceived, asked).headers)
                    statuses[client] = head[":status"]
            assert statuses == {"192.0.2.7": "200", "192.0.2.8": "403"}
        assert parent.asked == [host]
        (head,) = endpoint.peers[0].heads.values()
        assert head["x-key"] == "s3cret"
