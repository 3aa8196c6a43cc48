"""Every discovery system behind a whole proxy: services come, change and go, and so do systems."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from meshproxy.namers import rancher as rancher_namer
from tests.kit.closing import Closing
from tests.kit.consul import ConsulAgent
from tests.kit.dns import DnsServer
from tests.kit.downstream import Downstream
from tests.kit.http_api import Fault, HttpApi
from tests.kit.k8s import wait_until
from tests.kit.marathon import Marathon
from tests.kit.namerd import Namerd, leaf
from tests.kit.proxy import Proxy
from tests.kit.rancher import RancherMetadata, container
from tests.kit.wire import get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: ["127.0.0.1:{dns}"], minTtlSecs: 1, maxTtlSecs: 1}}
{namers}
routers:
- protocol: http
  dtab: |
    /svc => /$/inet/127.0.0.1/{other} ;
    {dtab}
  {interpreter}
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""
OWN_HOST = f"127.{os.getpid() >> 8 & 127 | 128}.{os.getpid() & 255}.80"
"""For port 80, as another suite may run at the same time."""


@dataclass
class System:
    """A discovery system, and what is particular to it."""

    server: HttpApi
    put: Callable[..., None]
    """Gives the service `web` these endpoints, hosts and ports, and no others; none: it is gone."""
    namers: str
    dtab: str
    errors: str
    """The counter of the failures that its watches meet."""
    page: str
    """Where its state is."""
    interpreter: str = ""
    other: tuple[str, int] = ("127.0.0.1", 1)
    """Where names go that are not there, if that is for the system to say."""


def consul(**where: Any) -> System:
    agent = ConsulAgent(**where)

    def put(*endpoints: tuple[str, int]) -> None:
        for name, one in list(agent.instances.items()):
            if (one.address, one.port) not in endpoints:
                agent.deregister(name)
        for host, port in endpoints:
            agent.register("web", host, port, id=f"web-{host}")

    return System(
        agent,
        put,
        namers="namers: [{{kind: io.l5d.consul, host: {host}, port: {port}}}]",
        dtab="/svc => /#/io.l5d.consul/dc1",
        errors="namer/#/io.l5d.consul/#/io.l5d.consul/service/errors",
        page="/namer_state/io.l5d.consul.json",
    )


def marathon(**where: Any) -> System:
    server = Marathon(**where)

    def put(*endpoints: tuple[str, int]) -> None:
        if "/web" in server.apps:
            server.destroy("/web")
        if endpoints:
            server.run("/web", *endpoints)

    namer = "kind: io.l5d.marathon, host: {host}, port: {port}, ttlMs: 50, jitterMs: 5"
    return System(
        server,
        put,
        namers=f"namers: [{{{{{namer}}}}}]",
        dtab="/svc => /#/io.l5d.marathon",
        errors="namer/#/io.l5d.marathon/app/errors",
        page="/namer_state/io.l5d.marathon.json",
    )


def rancher(**where: Any) -> System:
    try:
        server = RancherMetadata(**{"host": OWN_HOST, **where, "port": 80})
    except PermissionError:
        pytest.skip("the metadata service is at port 80, which is not ours to take")

    def put(*endpoints: tuple[str, int]) -> None:
        server.put(*(container(host) for host, _ in endpoints))

    return System(
        server,
        put,
        namers="namers: [{{kind: io.l5d.rancher, experimental: true}}]",
        dtab="/svc => /#/io.l5d.rancher/{endpoint}/shop",
        errors="namer/#/io.l5d.rancher/errors",
        page="/namer_state/io.l5d.rancher.json",
    )


def consul_interpreter(**where: Any) -> System:
    agent = ConsulAgent(**where)

    def put(*endpoints: tuple[str, int]) -> None:
        if endpoints:
            tree = " & ".join(f"/$/inet/{host}/{port}" for host, port in endpoints)
            agent.put("namerd/dtabs/default", f"/stored/web => {tree}".encode())
        elif agent.keys:
            agent.delete("namerd/dtabs/default")

    return System(
        agent,
        put,
        namers="",
        dtab="/svc => /stored",
        errors="rt/http/interpreter/io.l5d.consul.interpreter/errors",
        page="/http/interpreter_state/io.l5d.consul.interpreter.json",
        interpreter="interpreter: {{kind: io.l5d.consul.interpreter, host: {host}, port: {port}}}",
    )


def namerd(**where: Any) -> System:
    server = Namerd(**where)
    server.bind("/svc/web", leaf("/#/web"))

    def put(*endpoints: tuple[str, int]) -> None:
        server.put("/#/web", *(endpoints or [system.other]))

    keys = "kind: io.l5d.namerd.http, experimental: true, dst: /$/inet/{host}/{port}"
    retry = "retry: {{{{baseSeconds: 1, maxSeconds: 1}}}}"
    system = System(
        server,
        put,
        namers="",
        dtab="",
        errors="rt/http/interpreter/io.l5d.namerd.http/addr/errors",
        page="/http/interpreter_state/io.l5d.namerd.http.json",
        interpreter=f"interpreter: {{{{{keys}, {retry.format()}}}}}",
    )
    return system


SYSTEMS = {
    "consul": consul,
    "marathon": marathon,
    "rancher": rancher,
    "consul interpreter": consul_interpreter,
    "namerd": namerd,
}
FAULTS: list[Fault] = [500, "garbage", "cut"]
"""Each system's own tests have more."""


class World(Closing):
    """A system, a proxy that asks it, and endpoints that say who they are."""

    def __init__(self, kind: str) -> None:
        self.ends = ExitStack()
        enter = self.ends.enter_context
        self.system = SYSTEMS[kind]()
        enter(self.system.server)
        self.dns = enter(DnsServer())
        self.be_at(self.system.server.host)
        one = enter(Downstream(lambda _: b"one", host="127.0.0.11"))
        two = enter(Downstream(lambda _: b"two", host="127.0.0.12", port=one.port))
        self.other = enter(Downstream(lambda _: b"other"))
        self.one, self.two = (one.host, one.port), (two.host, two.port)
        self.system.other = (self.other.host, self.other.port)
        self.system.put()
        where = {"host": "api.test", "port": self.system.server.port}
        self.config = CONFIG.format(
            dns=self.dns.port,
            other=self.other.port,
            dtab=self.system.dtab.format(endpoint=one.port),
            namers=self.system.namers.format(**where),
            interpreter=self.system.interpreter.format(**where),
        )
        self.proxy = enter(Proxy(self.config))

    def be_at(self, host: str) -> None:
        """Let the system be at *host*, as far as DNS knows."""
        for name in ("api.test", "rancher-metadata"):
            self.dns.put(name, host, ttl=1)

    def get(self) -> bytes:
        """Ask for the service through the proxy."""
        return get(self.proxy.port(), "web").body

    def wait(self, body: bytes) -> None:
        """Ask until this answers."""
        wait_until(lambda: self.get() == body)

    def reload(self, number: int) -> None:
        """Serve other settings of the clients, and another dtab if it is not asked about."""
        text = self.config
        if self.system.dtab:
            text = text.replace("dtab: |", f"dtab: |\n    /unused{number} => /$/nil ;")
        client = f"client: {{requestAttemptTimeoutMs: {20_000 + number}}}"
        self.proxy.reload(text.replace("  servers:", f"  {client}\n  servers:"))

    def errors(self) -> float:
        """Return how many failures there were."""
        scope, _, name = self.system.errors.rpartition("/")
        return self.proxy.counts(scope, name)[0]

    def close(self) -> None:
        self.ends.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Rancher be asked again soon after a failure."""
    monkeypatch.setattr(rancher_namer, "RETRY_S", 0.05)


@pytest.fixture(params=SYSTEMS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with World(request.param) as world:
        yield world


def test_a_service_comes_changes_and_goes(world: World) -> None:
    assert world.get() == b"other"
    world.system.put(world.one)
    world.wait(b"one")
    world.system.put(world.two)
    world.wait(b"two")
    world.system.put(world.one, world.two)
    world.wait(b"one")
    world.wait(b"two")
    world.system.put()
    world.wait(b"other")


@pytest.mark.parametrize("kind", SYSTEMS)
@pytest.mark.parametrize("fault", [*FAULTS, "gone"])
def test_in_an_outage_the_last_good_serves_and_then_it_catches_up(
    kind: str, fault: Fault | str
) -> None:
    with World(kind) as world:
        system = world.system
        system.put(world.one)
        world.wait(b"one")
        if fault == "gone":
            system.server.close()
        else:
            system.server.faults["/"] = fault  # type: ignore[assignment]
            system.server.cut()
        before = world.errors()
        wait_until(lambda: world.errors() >= before + 2)
        assert world.get() == b"one"
        system.put(world.two)
        assert world.get() == b"one"
        system.server.faults.clear()
        if fault == "gone":
            system.server.listen()
        world.wait(b"two")


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_reload_in_an_outage_loses_nothing(kind: str) -> None:
    with World(kind) as world:
        world.system.put(world.one)
        world.wait(b"one")
        world.system.server.close()
        before = world.errors()
        wait_until(lambda: world.errors() > before)
        world.reload(1)
        assert world.get() == b"one"
        world.reload(2)
        world.reload(3)
        assert world.get() == b"one"
        world.system.put(world.two)
        world.system.server.listen()
        world.wait(b"two")


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_system_that_moves_is_followed(kind: str) -> None:
    with World(kind) as world:
        world.system.put(world.one)
        world.wait(b"one")
        elsewhere = SYSTEMS[kind](host="127.0.0.2", port=world.system.server.port)
        with elsewhere.server:
            elsewhere.put(world.two)
            world.be_at("127.0.0.2")
            world.wait(b"two")
            wait_until(lambda: not world.system.server.connections)


def test_the_state_of_a_name_is_shown(world: World) -> None:
    world.system.put(world.one)
    world.wait(b"one")
    page = get(world.proxy.linker.admin_port, "localhost", world.system.page)
    assert (page.status, page.get("Content-Type")) == (200, "application/json")
    assert '"running": true' in page.body.decode()
    assert world.one[0] in page.body.decode()


def test_names_in_use_are_listed_and_what_discovery_believes_of_them(world: World) -> None:
    world.system.put(world.one)
    world.wait(b"one")

    def shown(path: str) -> Any:
        return json.loads(get(world.proxy.linker.admin_port, "localhost", path).body)

    of_namers = [name for name in shown("/client_state.json") if name.startswith("/#/")]
    assert shown("/bound-names.json") == of_namers
    rows = shown("/discovery.json")["names"]
    mine = [row for row in rows if row["source"] != "DNS"]
    assert mine
    assert all(row["answer"] and row["answered_at"] and not row["failure"] for row in mine)
    assert shown("/overview.json")["problems"] == []


def test_names_that_clients_make_up_cost_a_bounded_number_of_connections(world: World) -> None:
    world.system.put(world.one)
    world.wait(b"one")
    for number in range(200):
        assert get(world.proxy.port(), f"made-up-{number}").body != b"one"
    assert world.system.server.connections <= 128
    assert world.get() == b"one"
