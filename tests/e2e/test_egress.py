"""Who may go where, over real DNS, in a network whose loopback has addresses of every class."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_plus

import gevent
import pytest

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import load
from meshproxy.runtime.reload import reload
from tests.kit.certs import Certs
from tests.kit.dns import DnsServer
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.namespace import Namespace, Unavailable, have
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: ["127.0.0.1:{dns}"], minTtlSecs: 1, maxTtlSecs: 1}}
namers:
- {{kind: io.l5d.fs, rootDir: {disco}}}
telemetry:
- {{kind: io.l5d.recentRequests, sampleRate: 1.0}}
routers:
- protocol: http
  label: http
  dtab: |
    /ph  => /$/io.buoyant.rinet ;
    /svc => /ph/80 ;
    /svc => /$/io.buoyant.porthostPfx/ph ;
    /svc => /#/io.l5d.fs ;
    /svc/wired => /$/inet/127.0.0.1/80 ;
  httpAccessLog: {disco}/access.log
  httpAccessLogFormat: json
  {egress}
  servers:
  - {{port: 0, ip: 127.0.0.1, connectPorts: [80, 443]{server}}}
"""
CLASSES = {
    "loopback": ["127.0.0.1", "127.7.7.7", "::1"],
    "linkLocal": ["169.254.1.1"],
    "metadata": [
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200"),
        *("168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    ],
    "multicast": ["224.0.0.251"],
    "reserved": ["0.0.0.0", "240.0.0.1", "192.0.2.1", "198.18.0.1", "2001:db8::1"],
}
CARRIERS = {
    "::ffff:127.0.0.1": "loopback",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b:1::a9fe:a9fe": "metadata",
    "2002:7f00:1::1": "loopback",
    "2001:0:102:304::80ff:fffe": "loopback",
    "2a00:1450::5efe:169.254.169.254": "metadata",
}
ORDINARY = ["8.8.8.8", "2606:4700::1", "10.0.0.1", "fd00::1", "100.64.0.1"]
UNROUTABLE = ("224.", "0.0.0.0", "240.", "::1", "127.", "::ffff")
REFUSED = [
    *[(address, kind) for kind, addresses in CLASSES.items() for address in addresses],
    *CARRIERS.items(),
]


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(Namespace())
        except Unavailable as why:
            pytest.skip(str(why))
        addresses = [*ORDINARY, *(address for address, _ in REFUSED)]
        have(*(address for address in addresses if not address.startswith(UNROUTABLE)))
        yield


@dataclass
class World:
    """A DNS server, an endpoint on port 80 of every address, and a proxy between them."""

    dns: DnsServer
    origin: Downstream
    directory: Path
    stack: ExitStack
    proxies: list[Proxy] = field(default_factory=list)

    def config(self, egress: str, server: str = "") -> str:
        """Return a configuration whose router has *egress*."""
        return CONFIG.format(dns=self.dns.port, disco=self.directory, egress=egress, server=server)

    def proxy(self, egress: str = "egress: {}", server: str = "") -> Proxy:
        """Start a proxy whose router has *egress*."""
        return self.stack.enter_context(Proxy(self.config(egress, server)))

    @property
    def served(self) -> int:
        """Return how many requests have reached an endpoint."""
        return len(self.origin.requests)

    def log(self, count: int) -> list[dict]:
        """Wait for *count* lines of the access log."""
        path = self.directory / "access.log"
        wait_until(lambda: path.exists() and path.read_text().count("\n") >= count)
        return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        dns = stack.enter_context(DnsServer())
        origin = stack.enter_context(Downstream(lambda _: b"x", "::", 80))
        yield World(dns, origin, tmp_path, stack)


def said(reply: Reply) -> str:
    return unquote_plus(reply.get("l5d-err") or "")


def connect(proxy: Proxy, authority: str) -> int:
    """Ask for a tunnel; the status of the answer."""
    with WireClient(proxy.port()) as client:
        client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        return int(client.sock.recv(4096).split()[1])


def egress(proxy: Proxy, *names: str) -> list[float]:
    return proxy.counts("rt/http/egress", *names)


@pytest.mark.parametrize(("address", "kind"), REFUSED)
def test_no_name_leads_to_an_address_of_another_class(
    world: World, address: str, kind: str
) -> None:
    world.dns.put("bad.test", address)
    proxy = world.proxy()
    reply = get(proxy.port(), "bad.test")
    assert (reply.status, f"class {kind}" in said(reply)) == (403, True)
    assert get(proxy.port(), "x.test", "http://u:p@bad.test/").status == 403
    assert get(proxy.port(), "x.test", "/", "l5d-dtab: /svc => /$/inet/bad.test/80").status == 403
    assert connect(proxy, "bad.test:80") == 403
    assert world.served == 0
    assert egress(proxy, "denied", "reason/address", "allowed") == [4, 4, 0]


@pytest.mark.parametrize(
    "address", [address for address, _ in REFUSED if not address.startswith(("224", "240"))]
)
def test_without_rules_they_are_reached(world: World, address: str) -> None:
    world.dns.put("bad.test", address)
    proxy = world.proxy("")
    assert get(proxy.port(), "bad.test").status == 200
    assert connect(proxy, "bad.test:80") == 200


@pytest.mark.parametrize("address", ORDINARY)
def test_ordinary_addresses_are_reached_unless_a_rule_says_no(world: World, address: str) -> None:
    world.dns.put("good.test", address)
    assert get(world.proxy().port(), "good.test").status == 200
    rules = "egress: {rules: [{name: no-private, action: deny, to: private}]}"
    proxy = world.proxy(rules)
    is_private = address not in ("8.8.8.8", "2606:4700::1")
    reply = get(proxy.port(), "good.test")
    assert reply.status == (403 if is_private else 200)
    if is_private:
        assert said(reply).startswith("Forbidden by rule no-private: good.test leads to ")
        assert egress(proxy, "reason/rule", "rule/no-private/denied") == [1, 1]


SPELLINGS = ["127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1"]


@pytest.mark.parametrize("host", SPELLINGS)
def test_no_number_is_an_address_in_disguise(world: World, host: str) -> None:
    proxy = world.proxy()
    assert get(proxy.port(), host).status in (400, 403)
    assert get(proxy.port(), "x", f"http://{host}/").status in (400, 403)
    assert connect(proxy, f"{host}:80") in (400, 403)
    assert get(proxy.port(), "x", "/", f"l5d-dtab: /svc => /$/inet/{host}/80").status == 403
    assert get(proxy.port(), "x", "/", f"l5d-dtab: /svc => /ph/80/{host}").status in (403, 502)
    assert (world.served, world.dns.asked) == (0, {})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1.", "localhost", "LOCALHOST", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]"],
)
def test_no_spelling_of_loopback_gets_there(world: World, host: str) -> None:
    proxy = world.proxy()
    assert get(proxy.port(), host).status == 403
    assert get(proxy.port(), f"{host}:80").status == 403
    assert get(proxy.port(), "x", f"http://{host}/").status == 403
    assert connect(proxy, f"{host}:80") == 403
    assert world.served == 0


@pytest.mark.parametrize("host", ["[fe80::1%25lo]", "b\xfccher.test", "a%2eb.test"])
def test_zones_and_what_is_not_ascii_are_refused(world: World, host: str) -> None:
    assert get(world.proxy().port(), host).status == 400
    assert world.dns.asked == {}


def test_a_bracketed_address_with_a_port_works_in_every_form(world: World) -> None:
    proxy = world.proxy()
    host = "[2606:4700::1]:80"
    assert get(proxy.port(), host).status == 200
    assert get(proxy.port(), "x", f"http://{host}/").status == 200
    assert connect(proxy, host) == 200


def test_what_the_operator_wrote_may_be_anywhere(world: World) -> None:
    (world.directory / "web").write_text("127.0.0.1 80\n")
    proxy = world.proxy()
    assert get(proxy.port(), "wired").status == 200
    assert get(proxy.port(), "web").status == 200
    denies = "egress: {rules: [{name: lo, action: deny, to: loopback}]}"
    assert get(world.proxy(denies).port(), "wired").status == 403


DENY = "egress: {{default: deny, rules: [{}]}}"
A_ONLY = DENY.format("{name: a, action: allow, host: a.test}")


def test_what_no_rule_can_allow_is_never_looked_up(world: World) -> None:
    world.dns.put("a.test", "8.8.8.8")
    proxy = world.proxy(A_ONLY)
    for host in ("secret.evil.test", "a.test.evil.test", "xa.test"):
        reply = get(proxy.port(), host)
        assert (reply.status, said(reply)) == (
            403,
            f"Forbidden by default: no rule allows {host} (/svc/{host})",
        )
    assert connect(proxy, "evil.test:443") == 403
    assert world.dns.asked == {}
    assert get(proxy.port(), "A.Test.").status == 200
    rules = "{name: web, action: allow, host: '*.test', port: 80}"
    assert connect(world.proxy(DENY.format(rules)), "b.test:443") == 403
    assert {name for name, _, _ in world.dns.asked} == {"a.test"}


def test_a_mixed_answer_keeps_its_good_addresses(world: World) -> None:
    world.dns.put("mixed.test", "127.0.0.1", "8.8.8.8", "169.254.169.254")
    proxy = world.proxy()
    replies = {get(proxy.port(), "mixed.test").status for _ in range(20)}
    assert replies == {200}
    assert egress(proxy, "filtered", "allowed", "denied") == [2, 20, 0]


def test_a_name_that_is_bound_again_is_judged_again(world: World) -> None:
    world.dns.put("turn.test", "8.8.8.8", ttl=1)
    proxy = world.proxy()
    with WireClient(proxy.port()) as client:
        assert client.get("turn.test").status == 200
        world.dns.put("turn.test", "127.0.0.1", ttl=1)
        wait_until(lambda: client.get("turn.test").status == 403)
        assert egress(proxy, "reason/address")[0] >= 1
        world.dns.put("turn.test", "8.8.8.8", ttl=1)
        wait_until(lambda: client.get("turn.test").status == 200)


def test_a_dtab_that_took_part_is_judged_for_where_it_leads(world: World) -> None:
    for host in ("a.test", "b.test"):
        world.dns.put(host, "8.8.8.8")
    (world.directory / "web").write_text("127.0.0.1 80\n")
    proxy = world.proxy(A_ONLY)

    def ask(host: str, dtab: str) -> int:
        return get(proxy.port(), host, "/", f"l5d-dtab: {dtab}").status

    assert ask("a.test", "/svc/other => /$/nil") == 200
    assert ask("a.test", "/svc/a.test => /ph/80/a.test") == 200
    assert ask("a.test", "/svc/a.test => /ph/80/b.test") == 403
    assert ask("a.test", "/svc/a.test => /svc/wired") == 403
    assert ask("a.test", "/svc/a.test => /#/io.l5d.fs/web") == 403
    assert ask("b.test", "/svc/b.test => /ph/80/a.test") == 403
    assert "b.test" not in {name for name, _, _ in world.dns.asked}


def test_a_refusal_touches_nothing_and_keeps_the_connection(world: World) -> None:
    world.dns.put("bad.test", "127.0.0.1")
    world.dns.put("a.test", "8.8.8.8")
    proxy = world.proxy()
    with WireClient(proxy.port()) as client:
        assert [client.get("bad.test").status for _ in range(7)] == [403] * 7
        client.send(b"POST / HTTP/1.1\r\nHost: bad.test\r\nContent-Length: 3\r\n\r\nabc")
        assert client.read().status == 403
        assert client.get("a.test").status == 200
    scope = "rt/http/client/$/io.buoyant.rinet/80/bad.test"
    untouched = (
        "requests",
        "failures",
        "connects",
        "failure_accrual/removals",
        "loadbalancer/adds",
    )
    assert proxy.counts(scope, *untouched) == [0] * len(untouched)


def test_what_was_decided_is_logged(world: World) -> None:
    world.dns.put("a.test", "8.8.8.8")
    world.dns.put("bad.test", "127.0.0.1")
    rules = """egress:
    rules:
    - {name: trial, action: report, host: "*.test"}
    - {name: no, action: deny, host: no.test}
    - {name: few, action: allow, host: few.test, limit: {requestsPerSecond: 0.1, burst: 1}}"""
    world.dns.put("few.test", "8.8.8.8")
    proxy = world.proxy(rules)
    for host in ("a.test", "bad.test", "no.test", "few.test", "few.test", "localhost"):
        get(proxy.port(), host)
    entries = world.log(6)
    assert [
        (one["status"], one["error"], one["decision"], one["rule"], one["reported"], one["caller"])
        for one in entries
    ] == [
        (200, None, "allow", "default", ["trial"], "127.0.0.1"),
        (403, "forbidden", "deny", None, ["trial"], "127.0.0.1"),
        (403, "forbidden", "deny", "no", ["trial"], "127.0.0.1"),
        (200, None, "allow", "few", ["trial"], "127.0.0.1"),
        (429, "rate_limited", "limit", "few", ["trial"], "127.0.0.1"),
        (403, "forbidden", "deny", None, [], "127.0.0.1"),
    ]
    assert egress(proxy, "allowed", "denied", "limited", "reported") == [2, 3, 1, 5]
    assert egress(proxy, "rule/trial/reported", "rule/few/limited", "reason/limit") == [5, 1, 1]
    page = get(proxy.linker.admin_port, "localhost", "/requests").body.decode()
    assert "limit by few, reported by trial, for 127.0.0.1" in page


def test_who_asks_is_known_by_address_and_by_certificate(world: World) -> None:
    certs = Certs(world.directory)
    chain, key = certs.files("proxy.test")
    tls = (
        f", tls: {{certPath: {chain}, keyPath: {key}, requireClientAuth: true, "
        f"caCertPath: {certs.bundle}}}"
    )
    world.dns.put("a.test", "8.8.8.8")
    rules = DENY.format("{name: pods, action: allow, from: 'dns:*.pod.test', host: a.test}")
    proxy = world.proxy(rules, tls)
    statuses = {}
    for name in ("api.pod.test", "laptop.test"):
        context = certs.client()
        context.load_cert_chain(*certs.files(name))
        with WireClient(proxy.port(), context, "proxy.test") as client:
            statuses[name] = client.get("a.test").status
    assert statuses == {"api.pod.test": 200, "laptop.test": 403}
    assert [one["caller"] for one in world.log(2)] == ["dns:api.pod.test", "dns:laptop.test"]
    by_address = DENY.format("{name: us, action: allow, from: [127.0.0.0/8, '!127.0.0.1']}")
    assert get(world.proxy(by_address).port(), "a.test").status == 403


def test_limits_of_a_rate_and_of_tunnels(world: World) -> None:
    world.dns.put("a.test", "8.8.8.8")
    rate = DENY.format(
        "{name: a, action: allow, limit: {requestsPerSecond: 0.25, burst: 2}, host: a.test}"
    )
    proxy = world.proxy(rate)
    replies = [get(proxy.port(), "a.test") for _ in range(3)]
    assert [one.status for one in replies] == [200, 200, 429]
    assert replies[2].get("retry-after") == "4"
    assert said(replies[2]).startswith("Over the limit of rule a for requests: a.test")
    tunnels = DENY.format("{name: t, action: allow, limit: {concurrent: 1}, host: a.test}")
    proxy = world.proxy(tunnels)
    with WireClient(proxy.port()) as client:
        client.send(b"CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\n\r\n")
        assert client.sock.recv(4096).startswith(b"HTTP/1.1 200")
        assert get(proxy.port(), "a.test").status == 429
    wait_until(lambda: get(proxy.port(), "a.test").status == 200)
    assert get(proxy.port(), "a.test").status == 200


def test_a_reload_changes_the_rules_and_keeps_buckets_that_it_leaves_alone(world: World) -> None:
    for host in ("a.test", "b.test"):
        world.dns.put(host, "8.8.8.8")
    limited = "{name: a, action: allow, host: a.test, limit: {requestsPerSecond: 0.001, burst: 2}}"
    file = world.directory / "rules.yaml"
    file.write_text(f"- {limited}\n")
    text = world.config(f"egress: {{default: deny, rulesFile: {file}}}")
    with Proxy(text) as proxy, WireClient(proxy.port()) as client:
        assert client.get("a.test").status == 200
        assert client.get("b.test").status == 403
        file.write_text(f"- {limited}\n- {{name: b, action: allow, host: b.test}}\n")
        proxy.linker.reload(load(text, "test.yaml"))
        assert client.get("b.test").status == 200
        assert [client.get("a.test").status for _ in range(2)] == [200, 429]
        file.write_text(f"- {limited.replace('burst: 2', 'burst: 3')}\n")
        proxy.linker.reload(load(text, "test.yaml"))
        assert client.get("b.test").status == 403
        assert client.get("a.test").status == 200
        for broken in ("", "- {name: a, action: alow}"):
            file.write_text(broken)
            with pytest.raises(ConfigErrors, match=r"rules\.yaml:1:"):
                load(text, "test.yaml")
        file.unlink()
        with pytest.raises(ConfigErrors, match="rulesFile"):
            load(text, "test.yaml")
        assert client.get("b.test").status == 403


def test_no_broken_file_opens_the_gate_and_no_request_sees_half_a_policy(
    world: World,
) -> None:
    for host in ("a.test", "b.test"):
        world.dns.put(host, "8.8.8.8")
    file = world.directory / "rules.yaml"
    good = "- {{name: r{}, action: allow, host: a.test}}"
    file.write_text(good.format(0))
    text = world.config(f"egress: {{default: deny, rulesFile: {file}}}")
    seen: dict[str, set[int]] = {"a.test": set(), "b.test": set()}
    with Proxy(text) as proxy:

        def ask() -> None:
            with WireClient(proxy.port()) as client:
                for _ in range(60):
                    for host, statuses in seen.items():
                        statuses.add(client.get(host).status)

        asking = [gevent.spawn(ask) for _ in range(4)]
        outcomes = []
        for number in range(12):
            written = (good.format(number), "", "- {name: r, action: alow}", None)[number % 4]
            file.write_text(written or "")
            if written is None:
                file.unlink()
            outcomes.append(reload(proxy.linker, lambda: load(text, "test.yaml")) is None)
            gevent.sleep(0)
        gevent.joinall(asking, raise_error=True)
        assert proxy.counts("reload", "ok", "failed") == [3, 9]
    assert outcomes == [True, False, False, False] * 3
    assert seen == {"a.test": {200}, "b.test": {403}}
    assert "b.test" not in {name for name, _, _ in world.dns.asked}


def test_pooled_connections_obey_the_rules_now_in_force(world: World) -> None:
    world.dns.put("a.test", "10.0.0.1")
    before = world.config("egress: {}")
    with Proxy(before) as proxy, WireClient(proxy.port()) as client:
        assert client.get("a.test").status == 200
        after = world.config("egress: {rules: [{name: no, action: deny, to: private}]}")
        proxy.linker.reload(load(after, "test.yaml"))
        assert client.get("a.test").status == 403
        proxy.linker.reload(load(world.config(""), "test.yaml"))
        assert client.get("a.test").status == 200
        proxy.linker.reload(load(before, "test.yaml"))
        assert client.get("a.test").status == 200
        assert world.served == 3


def test_explain_tells_what_was_decided(world: World) -> None:
    world.dns.put("a.test", "8.8.8.8")
    proxy = world.proxy(A_ONLY)
    with WireClient(proxy.port()) as client:
        client.send(b"TRACE / HTTP/1.1\r\nHost: a.test\r\nl5d-add-context: true\r\n\r\n")
        assert b"egress: allow by a, for 127.0.0.1\n" in client.read(b"TRACE").body


@pytest.mark.parametrize(
    ("identifier", "target", "fields"),
    [
        ("{kind: io.l5d.header}", "/", ("l5d-name: /{}",)),
        ("{kind: io.l5d.header.token, header: To}", "/", ("To: {}",)),
        ("{kind: io.l5d.path}", "/{}", ()),
    ],
)
def test_a_name_that_is_not_the_host_is_judged_for_where_it_leads(
    world: World, identifier: str, target: str, fields: tuple[str, ...]
) -> None:
    for host in ("a.test", "b.test"):
        world.dns.put(host, "8.8.8.8")
    proxy = world.proxy(f"identifier: {identifier}\n  {A_ONLY}")
    statuses = {
        name: get(
            proxy.port(), "a.test", target.format(name), *(one.format(name) for one in fields)
        ).status
        for name in ("a.test", "b.test")
    }
    assert statuses == {"a.test": 200, "b.test": 403}
    assert "b.test" not in {name for name, _, _ in world.dns.asked}


def test_endpoints_are_told_the_address_of_the_client_if_the_server_says_so(world: World) -> None:
    world.dns.put("a.test", "8.8.8.8")
    get(world.proxy("", ", addXForwardedFor: true").port(), "a.test")
    get(world.proxy("").port(), "a.test")
    told = [one.get("x-forwarded-for") for one in world.origin.requests]
    assert told == ["127.0.0.1", None]
