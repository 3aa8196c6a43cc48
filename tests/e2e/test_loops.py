"""A request that would come back to the proxy is refused at once, however it is spelled."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from tests.e2e.test_command import COMMAND, Serving
from tests.kit.daemons import Daemon
from tests.kit.dns import DnsServer
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.namespace import Namespace, Unavailable
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient, free_port, get

CONFIG = """
admin: {{ip: "{admin_ip}", port: {admin}, httpIdentifierPort: {identifier}}}
dns: {{nameservers: ["127.0.0.1:{dns}"]}}
namers:
- {{kind: io.l5d.fs, rootDir: {disco}}}
routers:
- protocol: http
  label: outgoing
  dtab: |
    /ph     => /$/io.buoyant.rinet ;
    /svc    => /ph/80 ;
    /svc    => /$/io.buoyant.porthostPfx/ph ;
    /svc    => /#/io.l5d.fs ;
    {dtab}
  servers: [{{port: {port}, ip: "{ip}", connectPorts: [{port}, {admin}]}}]
- protocol: http
  label: incoming
  dtab: /svc => /#/io.l5d.fs/web
  servers: [{{port: {incoming}, ip: "{ip}"}}]
"""


@dataclass
class World:
    """A proxy of two routers with an admin server; by DNS `us.test` is this machine."""

    proxy: Proxy
    config: str
    ports: dict[str, int]

    def ask(self, host: str, *fields: str) -> Reply:
        """Ask the router outgoing for *host*, its ports written `{port}` and the like."""
        fields = tuple(field.format(**self.ports) for field in fields)
        return get(self.ports["port"], host.format(**self.ports), "/", *fields)

    def counts(self) -> tuple[float, ...]:
        """Return the requests of both routers, and those that were refused by the guard."""
        metrics = self.proxy.metrics()
        servers = (
            f"rt/outgoing/server/{self.config}/{self.ports['port']}/requests",
            f"rt/incoming/server/{self.config}/{self.ports['incoming']}/requests",
        )
        refused = "rt/outgoing/egress/reason/own_listener"
        return tuple(metrics.get(name, 0) for name in (*servers, refused))


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(lambda _: b"x") as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, origin: Downstream, request: pytest.FixtureRequest) -> Iterator[World]:
    ip, dtab = getattr(request, "param", ("127.0.0.1", ""))
    ports = {name: free_port() for name in ("port", "incoming", "admin", "identifier")}
    (tmp_path / "web").write_text(f"127.0.0.1 {origin.port}\n")
    (tmp_path / "next").write_text(f"127.0.0.1 {ports['incoming']}\n")
    (tmp_path / "back").write_text(f"127.0.0.1 {ports['port']}\n")
    (tmp_path / "admin").write_text(f"127.0.0.1 {ports['admin']}\n")
    with DnsServer() as dns:
        dns.put("us.test", "127.0.0.1")
        dns.put("us6.test", "::1")
        dns.put("mixed.test", "127.0.0.1", "127.0.0.3")
        text = CONFIG.format(
            ip=ip, admin_ip=ip, dns=dns.port, disco=tmp_path, dtab=dtab.format(**ports), **ports
        )
        with Proxy(text) as proxy:
            yield World(proxy, ip, ports)


def said(reply: Reply) -> str:
    """What `l5d-err` says."""
    return unquote_plus(reply.get("l5d-err") or "")


EVERYWHERE = ["localhost", "127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "us.test", "US.test."]
LISTENERS = ["port", "incoming", "admin", "identifier"]


@pytest.mark.parametrize("host", EVERYWHERE)
def test_no_spelling_of_a_host_comes_back(world: World, host: str) -> None:
    for listener in LISTENERS:
        reply = world.ask(f"{host}:{{{listener}}}")
        assert reply.status == 508
        who = {"port": "router outgoing", "incoming": "router incoming"}
        assert f"{who.get(listener, 'the admin server')} of this proxy" in said(reply)
        assert f":{world.ports[listener]}." in said(reply)
        assert said(reply).startswith("Loop detected: /svc/")
    assert world.counts() == (4, 0, 4)


@pytest.mark.parametrize("world", [("0.0.0.0", "")], indirect=True)
@pytest.mark.parametrize("host", [*EVERYWHERE, "127.7.7.7", "[::ffff:127.7.7.7]"])
def test_a_wildcard_is_every_address_of_the_machine(world: World, host: str) -> None:
    for listener in LISTENERS:
        assert world.ask(f"{host}:{{{listener}}}").status == 508
    assert world.counts() == (4, 0, 4)


@pytest.mark.parametrize("world", [("::", "")], indirect=True)
@pytest.mark.parametrize("host", ["[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "127.0.0.1", "us6.test"])
def test_a_wildcard_of_ipv6_is_both_families(world: World, host: str) -> None:
    for listener in LISTENERS:
        assert world.ask(f"{host}:{{{listener}}}").status == 508
    assert world.counts()[1:] == (0, 4)


@pytest.mark.parametrize(
    "leaf",
    [
        "/$/inet/127.0.0.1/{port}",
        "/$/inet/{port}",
        "/$/inet/127.1/{port}",
        "/$/inet/localhost/{incoming}",
        "/$/fixedinet/127.0.0.1/{admin}",
        "/$/io.buoyant.rinet/{admin}/127.0.0.1",
        "/$/io.buoyant.rinet/{incoming}/us.test",
        "/ph/{incoming}/localhost",
    ],
)
def test_no_dtab_of_a_request_leads_back(world: World, leaf: str) -> None:
    reply = world.ask("x", f"l5d-dtab: /svc/x => {leaf}")
    assert (reply.status, "/svc/x leads to" in said(reply)) == (508, True)
    assert world.counts() == (1, 0, 1)


@pytest.mark.parametrize("listener", ["port", "admin"])
def test_no_form_of_a_target_leads_back(world: World, listener: str) -> None:
    port = world.ports[listener]
    targets = {"GET": f"http://127.0.0.1:{port}/admin/ping", "CONNECT": f"127.0.0.1:{port}"}
    for method, target in targets.items():
        with WireClient(world.ports["port"]) as client:
            client.send(f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert client.read().status == 508
    assert world.counts() == (2, 0, 2)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "[::1%25lo]"])
def test_what_only_looks_like_an_address_leads_nowhere(world: World, host: str) -> None:
    assert world.ask(f"{host}:{{port}}").status in {400, 502}
    assert world.counts()[0] <= 1


def test_a_namer_may_lead_to_the_other_router_and_nowhere_else_of_ours(
    world: World, origin: Downstream
) -> None:
    assert [world.ask(name).status for name in ("next", "back", "admin")] == [200, 508, 508]
    assert world.counts() == (3, 1, 2)
    assert [one.get("via") for one in origin.requests] == ["1.1 linkerd, 1.1 linkerd"]


WRITTEN = (
    "/svc/in => /$/inet/127.0.0.1/{incoming} ; /svc/round => /$/inet/127.0.0.1/{port} ; "
    "/svc/pages => /$/inet/127.0.0.1/{admin} ; /host => /$/inet/127.0.0.1"
)


@pytest.mark.parametrize("world", [("127.0.0.1", WRITTEN)], indirect=True)
def test_a_leaf_that_the_operator_wrote_leads_to_others_but_never_round(world: World) -> None:
    assert [world.ask(name).status for name in ("in", "round")] == [200, 508]
    assert world.ask("localhost:{incoming}").status == 508
    assert world.ask("x", "l5d-dtab: /svc/x => /svc/in").status == 200
    assert world.ask("x", "l5d-dtab: /svc/x => /host/{incoming}").status == 508
    assert world.ask("in").status == 200
    assert world.counts() == (6, 3, 3)


@pytest.mark.parametrize("world", [("127.0.0.1", WRITTEN)], indirect=True)
def test_the_admin_server_is_reached_by_the_operator_s_leaf_alone(world: World) -> None:
    target = "http://pages/admin/ping"
    with WireClient(world.ports["port"]) as client:
        client.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert client.read().status != 508
    assert world.ask("localhost:{admin}").status == 508
    assert world.counts()[2] == 1


def test_the_good_addresses_of_a_name_stay_in_use(world: World) -> None:
    asked = world.ask("mixed.test:{port}")
    assert (asked.status, "127.0.0.3" in said(asked)) == (502, True)
    assert world.counts() == (1, 0, 0)


def test_a_client_connection_goes_on_after_it(world: World) -> None:
    with WireClient(world.ports["port"]) as client:
        statuses = [client.get(f"localhost:{world.ports['port']}").status for _ in range(3)]
        assert [*statuses, client.get("web").status] == [508, 508, 508, 200]


def test_a_listener_that_a_reload_adds_is_guarded_from_then_on(
    tmp_path: Path, origin: Downstream
) -> None:
    one = "- {{port: 0, ip: 127.0.0.1}}"
    text = f"""
admin: {{{{ip: 127.0.0.1, port: 0}}}}
routers:
- protocol: http
  dtab: /svc/web => /$/inet/127.0.0.1/{origin.port} ; /svc/x => /$/inet/127.0.0.1/{{port}}
  servers: [{one[2:]}{{more}}]
"""
    port = free_port()
    serving = Serving(text.format(port=port, more=""), tmp_path)
    with serving.daemon:
        assert get(serving.port, "x").status == 502
        serving.reload(text.format(port=port, more=f", {{port: {port}, ip: 127.0.0.1}}"))
        assert get(serving.port, "x").status == 508
        assert get(port, "x").status == 508
        assert get(port, "web").status == 200


def test_workers_guard_each_other_s_listeners_and_the_supervisor_s(
    tmp_path: Path, origin: Downstream
) -> None:
    text = f"""
workers: 2
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/web => /$/inet/127.0.0.1/{origin.port}
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""
    serving = Serving(text, tmp_path)
    with serving.daemon:
        for port in (serving.port, serving.admin_port):
            dtab = f"l5d-dtab: /svc/x => /$/inet/127.0.0.1/{port}"
            assert {get(serving.port, "x", "/", dtab).status for _ in range(10)} == {508}
        assert get(serving.port, "web").status == 200
        wait_until(lambda: serving.metrics()["rt/http/egress/reason/own_listener"] == 20)
        assert serving.metrics()[f"rt/http/server/127.0.0.1/{serving.port}/requests"] == 21


def test_the_addresses_of_interfaces_are_found_when_they_are_asked_for(tmp_path: Path) -> None:
    """One that an interface gets while the proxy runs is guarded like the others."""
    try:
        with Namespace():
            text = """
admin: {ip: 127.0.0.1, port: 0}
routers:
- {protocol: http, servers: [{port: {port}, ip: 0.0.0.0}], dtab: /svc => /$/inet}
"""
            file = tmp_path / "served.yaml"
            file.write_text(text.replace("{port}", str(port := free_port())))
            with Daemon([*COMMAND, str(file)], tmp_path / "log") as daemon:
                daemon.wait_port(port)
                for address in ("10.9.0.1", "10.9.0.2"):
                    command = ["ip", "address", "add", f"{address}/24", "dev", "lo"]
                    subprocess.run(command, check=True)
                    dtab = f"l5d-dtab: /svc/x => /$/inet/{address}/{port}"
                    assert get(port, "x", "/", dtab).status == 508
    except Unavailable as why:
        pytest.skip(str(why))


# --- two proxies that point at each other ---

CIRCLE = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc => /$/inet/127.0.0.1/{to}
  servers: [{{port: {at}, ip: 127.0.0.1{keys}}}]
  service: {{responseClassifier: {{kind: io.l5d.http.{classifier}}}}}
"""


@contextmanager
def circle(
    keys: str = "", classifier: str = "nonRetryable5XX"
) -> Iterator[tuple[int, Proxy, Proxy]]:
    """Have two proxies, each of which sends all to the other; the port of the first."""
    one, two = free_port(), free_port()
    with (
        Proxy(CIRCLE.format(at=one, to=two, keys=keys, classifier=classifier)) as first,
        Proxy(CIRCLE.format(at=two, to=one, keys="", classifier=classifier)) as second,
    ):
        yield one, first, second


def served(proxy: Proxy) -> int:
    """Return how many requests the proxy has read."""
    found = proxy.metrics()
    scope = next(name for name in found if name.endswith("/status/508")).removesuffix("/508")
    return int(sum(value for name, value in found.items() if re.fullmatch(f"{scope}/\\d+", name)))


@pytest.mark.parametrize(
    "keys", ["", ", clearContext: true", ", addForwardedHeader: {}", ", timestampHeader: X-Time"]
)
@pytest.mark.parametrize("size", [0, 7000, 7800])
def test_two_proxies_that_point_at_each_other_end_a_request_within_32_hops(
    keys: str, size: int
) -> None:
    with circle(keys) as (port, first, second):
        reply = get(port, "web", "/", f"X-Filler: {'x' * size}")
        assert (reply.status, reply.reason) == (508, b"Loop Detected")
        assert bool(reply.get("l5d-err")) is ("clearContext" not in keys)
        hops = served(first) + served(second)
        assert hops == 32 if not size else hops <= 32


def test_proxies_that_retry_do_not_multiply_a_loop() -> None:
    with circle(classifier="retryableAll5XX") as (port, first, second):
        assert get(port, "web").status == 508
        assert served(first) + served(second) == 32
