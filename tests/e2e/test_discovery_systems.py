"""Every discovery system behind a whole proxy: services come, change and go, and so do systems."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.kit.closing import Closing
from tests.kit.consul import ConsulAgent
from tests.kit.dns import DnsServer
from tests.kit.downstream import Downstream
from tests.kit.http_api import Fault, HttpApi
from tests.kit.k8s import wait_until
from tests.kit.marathon import Marathon
from tests.kit.proxy import Proxy
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


@dataclass
class System:
    """A discovery system, and what is particular to it."""

    server: HttpApi
    put: Callable[..., None]
    """Gives the service `web` endpoints at these ports, and no others; none: it is gone."""
    namers: str
    dtab: str
    errors: str
    """The counter of the failures that its watches meet."""
    page: str
    """Where its state is."""
    interpreter: str = ""


def consul(**where: Any) -> System:
    agent = ConsulAgent(**where)

    def put(*ports: int) -> None:
        for name in [name for name, one in agent.instances.items() if one.port not in ports]:
            agent.deregister(name)
        for port in ports:
            agent.register("web", "127.0.0.1", port, id=f"web-{port}")

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

    def put(*ports: int) -> None:
        if "/web" in server.apps:
            server.destroy("/web")
        if ports:
            server.run("/web", *(("127.0.0.1", port) for port in ports))

    namer = "kind: io.l5d.marathon, host: {host}, port: {port}, ttlMs: 50, jitterMs: 5"
    return System(
        server,
        put,
        namers=f"namers: [{{{{{namer}}}}}]",
        dtab="/svc => /#/io.l5d.marathon",
        errors="namer/#/io.l5d.marathon/app/errors",
        page="/namer_state/io.l5d.marathon.json",
    )


SYSTEMS = {"consul": consul, "marathon": marathon}
FAULTS: list[Fault] = [401, 403, 404, 500, "reset", "garbage", "other json", "cut", "huge"]


class World(Closing):
    """A system, a proxy that asks it, and endpoints that say who they are."""

    def __init__(self, kind: str, host: str = "127.0.0.1") -> None:
        self.ends = ExitStack()
        enter = self.ends.enter_context
        self.kind = kind
        self.system = SYSTEMS[kind]()
        enter(self.system.server)
        self.dns = enter(DnsServer())
        self.dns.put("api.test", "127.0.0.1", ttl=1)
        self.one = enter(Downstream(lambda _: b"one"))
        self.two = enter(Downstream(lambda _: b"two"))
        self.other = enter(Downstream(lambda _: b"other"))
        where = {"host": host, "port": self.system.server.port}
        self.proxy = enter(
            Proxy(
                CONFIG.format(
                    dns=self.dns.port,
                    other=self.other.port,
                    dtab=self.system.dtab,
                    namers=self.system.namers.format(**where),
                    interpreter=self.system.interpreter.format(**where),
                )
            )
        )

    def get(self) -> bytes:
        """Ask for the service through the proxy."""
        return get(self.proxy.port(), "web").body

    def wait(self, body: bytes) -> None:
        """Ask until this answers."""
        wait_until(lambda: self.get() == body)

    def errors(self) -> float:
        """Return how many failures there were."""
        scope, _, name = self.system.errors.rpartition("/")
        return self.proxy.counts(scope, name)[0]

    def close(self) -> None:
        self.ends.close()


@pytest.fixture(params=SYSTEMS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with World(request.param) as world:
        yield world


def test_a_service_comes_changes_and_goes(world: World) -> None:
    assert world.get() == b"other"
    world.system.put(world.one.port)
    world.wait(b"one")
    world.system.put(world.two.port)
    world.wait(b"two")
    world.system.put(world.one.port, world.two.port)
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
        system.put(world.one.port)
        world.wait(b"one")
        if fault == "gone":
            system.server.close()
        else:
            system.server.faults["/"] = fault  # type: ignore[assignment]
            system.server.cut()
        before = world.errors()
        wait_until(lambda: world.errors() >= before + 2)
        assert world.get() == b"one"
        system.put(world.two.port)
        assert world.get() == b"one"
        system.server.faults.clear()
        if fault == "gone":
            system.server.listen()
        world.wait(b"two")


def test_a_system_that_moves_is_followed() -> None:
    for kind, make in SYSTEMS.items():
        with World(kind, host="api.test") as world:
            world.system.put(world.one.port)
            world.wait(b"one")
            elsewhere = make(host="127.0.0.2", port=world.system.server.port)
            with elsewhere.server:
                elsewhere.put(world.two.port)
                world.dns.put("api.test", "127.0.0.2", ttl=1)
                world.wait(b"two")
                wait_until(lambda world=world: not world.system.server.connections)


def test_the_state_of_a_name_is_shown(world: World) -> None:
    world.system.put(world.one.port)
    world.wait(b"one")
    page = get(world.proxy.linker.admin_port, "localhost", world.system.page)
    assert (page.status, page.get("Content-Type")) == (200, "application/json")
    states = json.loads(page.body).values()
    assert [one["state"]["running"] for one in states if str(world.one.port) in str(one)] == [True]


def test_names_that_clients_make_up_cost_a_bounded_number_of_connections(world: World) -> None:
    world.system.put(world.one.port)
    world.wait(b"one")
    for number in range(200):
        assert get(world.proxy.port(), f"made-up-{number}").body == b"other"
    assert world.system.server.connections <= 128
    assert world.get() == b"one"
