"""Names that come, are asked for and expire: memory and descriptors are as before."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meshproxy.discovery import dns as dns_discovery
from meshproxy.namers import rancher as rancher_namer
from tests.kit.closing import Closing
from tests.kit.consul import ConsulAgent
from tests.kit.dns import DnsServer
from tests.kit.downstream import Downstream
from tests.kit.k8s import KubeApi, wait_until
from tests.kit.marathon import Marathon
from tests.kit.objects import objects
from tests.kit.proxy import Proxy
from tests.kit.rancher import RancherMetadata, container
from tests.kit.wire import WireClient
from tests.kit.zookeeper import ZooKeeper, member, needs_zookeeper

NAMES = 200
LEFT = NAMES * 3 // 4
"""Objects that may be left over; one for each name would be too many."""
OPEN = NAMES // 10
"""Descriptors that may be left over: connections that are kept, one more or less."""
AT_ONCE = 100
"""Requests sent without waiting for an answer."""
CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: ["127.0.0.1:{dns}"]}}
{namers}
routers:
- protocol: http
  dtab: {dtab}
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""


@dataclass
class System:
    """A discovery system that knows names as long as it is told to."""

    namers: str
    dtab: str
    put: Callable[[list[str]], object]
    """Gives these names an endpoint, and takes it from all others."""
    is_idle: Callable[[], bool] = lambda: True
    """True if the proxy knows the latest, and nobody asks for names that have gone."""
    forget: Callable[[], object] = lambda: None
    """Lets the system forget what was asked and what it told."""


class World(Closing):
    """A proxy that asks one system, and the endpoint of all names."""

    def __init__(self, kind: str, directory: Path, zookeeper: Callable[[], ZooKeeper]) -> None:
        self.zookeeper = zookeeper
        self.ends = ExitStack()
        self.origin = self.ends.enter_context(Downstream(lambda _: b"ok"))
        self.dns = self.ends.enter_context(DnsServer())
        self.dns.put("origin.test", "127.0.0.1")
        self.system = SYSTEMS[kind](self, directory)
        namers = f"namers: [{{{self.system.namers}}}]" if self.system.namers else ""
        config = CONFIG.format(dns=self.dns.port, namers=namers, dtab=self.system.dtab)
        self.proxy = self.ends.enter_context(Proxy(config))
        wait_until(self.system.is_idle)
        self.fill_caches()

    def fill_caches(self) -> None:
        """Ask for as many names as caches of requests hold, without the system."""
        for first in range(0, 1100, AT_ONCE):
            names = [f"filler{number}" for number in range(first, first + AT_ONCE)]
            asks = [f"Host: {name}\r\nl5d-dtab: /svc/{name} => /$/nil\r\n" for name in names]
            asks[-1] += "Connection: close\r\n"
            with WireClient(self.proxy.port()) as client:
                client.send("".join(f"GET / HTTP/1.1\r\n{ask}\r\n" for ask in asks).encode())
                assert client.read_to_end().count(b"HTTP/1.1 50") == AT_ONCE

    def ask(self, names: list[str]) -> None:
        """Ask for each name, on one connection."""
        with WireClient(self.proxy.port()) as client:
            for name in names:
                wait_until(lambda name=name: status_of(client, name) == 200)  # type: ignore[misc]

    def is_idle(self) -> bool:
        """Let two idle periods pass; return True if one name is left, as caches keep it."""
        for _ in range(2):
            for router in self.proxy.linker.routers:
                router.sweep()
        clients = [client for router in self.proxy.linker.routers for client in router.clients()]
        return len(clients) <= 1 and len(self.origin._open) <= 1 and self.system.is_idle()

    def round(self, names: list[str]) -> tuple[int, int]:
        """Let names come, be asked for and go; return the descriptors and objects afterwards."""
        self.system.put(names)
        self.ask(names)
        self.system.put([])
        self.ask_nobody()
        wait_until(self.is_idle)
        for seen in (self.origin.requests, self.origin.wire, self.origin.peers):
            seen.clear()
        self.dns.asked.clear()
        self.system.forget()
        return descriptors(), objects()

    def ask_nobody(self) -> None:
        """Ask for one name that there is not, since the name asked for last never expires."""
        with WireClient(self.proxy.port()) as client:
            assert status_of(client, "nobody") >= 500

    def close(self) -> None:
        self.ends.close()


def descriptors() -> int:
    """Return how many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def status_of(client: WireClient, name: str) -> int:
    """Ask for *name*, and return the status."""
    return client.get(name).status


def consul(world: World, _: Path) -> System:
    agent = world.ends.enter_context(ConsulAgent())

    def put(names: list[str]) -> None:
        for name in list(agent.instances):
            agent.deregister(name)
        for name in names:
            agent.register(name, "127.0.0.1", world.origin.port, id=name)
        agent._gone.clear()

    return System(
        f"kind: io.l5d.consul, host: 127.0.0.1, port: {agent.port}",
        "/svc => /#/io.l5d.consul/dc1",
        put,
        lambda: agent.connections <= 2,
        forget=agent.asked.clear,
    )


def marathon(world: World, _: Path) -> System:
    server = world.ends.enter_context(Marathon())

    def put(names: list[str]) -> None:
        for app in list(server.apps):
            server.destroy(app)
        for name in names:
            server.run(f"/{name}", ("127.0.0.1", world.origin.port))

    return System(
        f"kind: io.l5d.marathon, host: 127.0.0.1, port: {server.port}, ttlMs: 3000, jitterMs: 9",
        "/svc => /#/io.l5d.marathon",
        put,
        lambda: server.connections <= 2,
        forget=server.asked.clear,
    )


def rancher(world: World, _: Path) -> System:
    try:
        server = world.ends.enter_context(RancherMetadata(host="127.0.0.80", port=80))
    except PermissionError:
        pytest.skip("the metadata service is at port 80, which is not ours to take")
    world.dns.put("rancher-metadata", "127.0.0.80")

    def versions() -> float:
        return world.proxy.counts("namer/#/io.l5d.rancher", "metadata_versions")[0]

    def put(names: list[str]) -> None:
        seen.append(versions())
        server.put(*(container("127.0.0.1", service=name) for name in names))

    seen: list[float] = []
    dtab = f"/svc => /#/io.l5d.rancher/{world.origin.port}/shop"
    return System(
        "kind: io.l5d.rancher, experimental: true",
        dtab,
        put,
        lambda: not seen or versions() > seen[-1],
        forget=server.asked.clear,
    )


def kubernetes(world: World, _: Path) -> System:
    api = world.ends.enter_context(KubeApi())
    known: list[str] = []

    def put(names: list[str]) -> None:
        for name in known:
            api.withdraw(name)
        for name in names:
            api.publish(name, "127.0.0.1", port=world.origin.port)
        known[:] = names

    namer = f"kind: io.l5d.k8s, host: 127.0.0.1, port: {api.port}"
    dtab = "/svc => /#/io.l5d.k8s/default/http"
    return System(namer, dtab, put, forget=api.forget_history)


def files(world: World, directory: Path) -> System:
    def put(names: list[str]) -> None:
        for file in directory.iterdir():
            file.unlink()
        for name in names:
            (directory / name).write_text(f"127.0.0.1 {world.origin.port}\n")

    return System(f"kind: io.l5d.fs, rootDir: {directory}", "/svc => /#/io.l5d.fs", put)


def dns(world: World, _: Path) -> System:
    def put(names: list[str]) -> None:
        known[:], before = names, list(known)
        for name in before:
            world.dns.remove(f"{name}.test")
        for name in names:
            world.dns.put(f"{name}.test", "127.0.0.1")

    known: list[str] = []
    port = world.origin.port
    rewrite = "kind: io.l5d.rewrite, prefix: /test, pattern: '/{x}'"
    return System(
        f"{rewrite}, name: '/$/io.buoyant.rinet/{port}/{{x}}.test'",
        "/svc => /#/test",
        put,
    )


def dnssrv(world: World, _: Path) -> System:
    def put(names: list[str]) -> None:
        known[:], before = names, list(known)
        for name in before:
            world.dns.remove(name)
        for name in names:
            world.dns.put(name, f"0 0 {world.origin.port} origin.test.", kind="SRV")

    known: list[str] = []
    return System("kind: io.l5d.dnssrv, experimental: true", "/svc => /#/io.l5d.dnssrv", put)


def in_zookeeper(
    namer: str, dtab: str, path: str, data: Callable[[int], Any]
) -> Callable[[World, Path], System]:
    def system(world: World, _: Path) -> System:
        zookeeper = world.zookeeper()
        base = path.split("/")[1]

        def put(names: list[str]) -> None:
            nodes = {path.format(name): data(world.origin.port) for name in names}
            zookeeper.put(nodes or {f"/{base}": None})

        server = f"zkAddrs: [{{host: 127.0.0.1, port: {zookeeper.port}}}]"
        return System(f"{namer}, {server}", dtab, put)

    return system


SYSTEMS: dict[str, Callable[[World, Path], System]] = {
    "consul": consul,
    "marathon": marathon,
    "rancher": rancher,
    "k8s": kubernetes,
    "fs": files,
    "dns": dns,
    "dnssrv": dnssrv,
}
ZOOKEEPER: dict[str, Callable[[World, Path], System]] = {
    "serversets": in_zookeeper(
        "kind: io.l5d.serversets",
        "/svc => /#/io.l5d.serversets/discovery",
        "/discovery/{}/member_1",
        member,
    ),
    "leader": in_zookeeper(
        "kind: io.l5d.zkLeader",
        "/svc => /#/io.l5d.zkLeader/groups",
        "/groups/{}/member_1",
        lambda port: f"127.0.0.1:{port}".encode(),
    ),
    "curator": in_zookeeper(
        "kind: io.l5d.curator, experimental: true, basePath: /services",
        "/svc => /#/io.l5d.curator",
        "/services/{}/one",
        lambda port: {"address": "127.0.0.1", "port": port},
    ),
}
ALL = [*SYSTEMS, *(pytest.param(kind, marks=needs_zookeeper) for kind in ZOOKEEPER)]
SYSTEMS |= ZOOKEEPER


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Rancher be asked again soon after a failure, and one round fill the cache of DNS."""
    monkeypatch.setattr(rancher_namer, "RETRY_S", 0.05)
    monkeypatch.setattr(dns_discovery, "MAX_NAMES", NAMES)


@pytest.fixture(params=ALL)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with World(request.param, tmp_path, lambda: request.getfixturevalue("zookeeper")) as world:
        yield world


def test_names_that_have_expired_leave_nothing(world: World) -> None:
    _, *rounds = [world.round([f"{letter}{number}" for number in range(NAMES)]) for letter in "abc"]
    most_open, most_objects = map(max, zip(*rounds, strict=True))
    world.round([f"d{number}" for number in range(NAMES)])
    wait_until(lambda: world.is_idle() and descriptors() <= most_open + OPEN)
    wait_until(lambda: world.is_idle() and objects() <= most_objects + LEFT)
