"""How the cost of a request grows with what else there is."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from time import monotonic
from typing import Final

from tests.bench import configs
from tests.bench.load import HOST, measure
from tests.bench.machine import memory_kib, settle
from tests.bench.proxies import MESHPROXY, Running
from tests.bench.scenarios import SCENARIOS
from tests.bench.world import World

Config = Callable[[World, int, bool], str]
NEW_NAMES: Final = 100_000
"""Names asked for in turn where each is to be new: more than any cache here holds."""
WARM_UP: Final = 50
"""Idle connections before the first look at the memory."""


def dtab(entries: int) -> Config:
    """*entries* rules above the one that counts, which is looked up each time the name is new."""

    def config(world: World, port: int, over_tls: bool) -> str:
        more = "".join(f"    /svc/other{n} => /srv/other{n} ;\n" for n in range(entries))
        return configs.meshproxy(world, port, over_tls).replace(
            "    /svc/web =>", f"{more}    /svc/web =>"
        )

    return config


def endpoints(count: int) -> Config:
    """*count* addresses of the upstream for the name, from a file."""

    def config(world: World, port: int, over_tls: bool) -> str:
        directory = world.home / "disco"
        directory.mkdir(exist_ok=True)
        lines = (f"127.0.{n // 250}.{n % 250 + 1} {world.port}\n" for n in range(count))
        (directory / HOST).write_text("".join(lines))
        text = configs.meshproxy(world, port, over_tls)
        text = text.replace(f"/$/inet/127.0.0.1/{world.port}", f"/#/io.l5d.fs/{HOST}")
        return text.replace("namers:\n", f"namers:\n- kind: io.l5d.fs\n  rootDir: {directory}\n", 1)

    return config


def names(count: int) -> Config:
    """Any host leads to the upstream; *count* of them are asked for in turn."""
    del count
    return _any_host(configs.meshproxy)


def new_names(entries: int) -> Config:
    """Any host leads to the upstream, above *entries* other rules."""
    return _any_host(dtab(entries))


def caches(capacity: int) -> Config:
    """Any host leads to the upstream, and *capacity* of them are remembered."""

    def config(world: World, port: int, over_tls: bool) -> str:
        kinds = ("paths", "trees", "bounds", "clients")
        sizes = "".join(f"    {kind}: {capacity}\n" for kind in kinds)
        text = _any_host(configs.meshproxy)(world, port, over_tls)
        return text.replace("  dtab:", f"  bindingCache:\n{sizes}  dtab:", 1)

    return config


def _any_host(config: Config) -> Config:
    return lambda *args: config(*args).replace("/svc/web =>", "/svc/* =>")


def routers(count: int) -> Config:
    """*count* more routers like the one that is asked."""

    def config(world: World, port: int, over_tls: bool) -> str:
        more = "".join(
            f"- protocol: http\n  label: more{n}\n  dtab: /svc => /$/inet/127.0.0.1/1\n"
            "  servers:\n  - port: 0\n    ip: 127.0.0.1\n"
            for n in range(count)
        )
        return configs.meshproxy(world, port, over_tls) + more

    return config


SERIES: Final = {
    "dtab entries": (dtab, (10, 100, 1000)),
    "endpoints": (endpoints, (1, 10, 100, 1000)),
    "dtab entries, each name new": (new_names, (10, 100, 1000)),
    "cached names, each name new": (caches, (100, 1000, 5000)),
    "distinct names": (names, (10, 100, 1000, 10_000)),
    "more routers": (routers, (1, 10, 50)),
}
IDLE: Final = (0, 1000, 5000)


def grow(world: World, what: str, seconds: int) -> Iterator[tuple[int, float]]:
    """Yield sizes and CPU microseconds for each small request."""
    make, sizes = SERIES[what]
    for size in sizes:
        with running(world, make(size)) as proxy:
            asked = {names: size, new_names: NEW_NAMES, caches: NEW_NAMES}.get(make, 0)
            yield size, measure(proxy, world, SCENARIOS["small"], seconds, asked).cpu_us


def grow_idle(world: World, seconds: int) -> Iterator[tuple[int, float]]:
    """Yield numbers of idle connections and CPU microseconds for each small request."""
    for size in IDLE:
        with running(world, configs.meshproxy) as proxy, idle_connections(proxy, world, size):
            yield size, measure(proxy, world, SCENARIOS["small"], seconds).cpu_us


def idle_kib(proxy: Running, world: World, count: int) -> float:
    """Return the KiB of memory of each of *count* connections that have had one request."""
    with idle_connections(proxy, world, WARM_UP):
        settle(proxy.pids)
        before = memory_kib(proxy.pids)
        with idle_connections(proxy, world, count):
            settle(proxy.pids)
            return (memory_kib(proxy.pids) - before) / count


@contextmanager
def running(world: World, config: Config) -> Iterator[Running]:
    """Run meshproxy with *config*."""
    proxy = Running(replace(MESHPROXY, config=config), world)
    try:
        yield proxy
    finally:
        proxy.stop()


@contextmanager
def idle_connections(proxy: Running, world: World, count: int) -> Iterator[None]:
    """Hold *count* connections open, each of which has had a request."""
    del world
    asked = f"GET /small HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 20))
            client.sendall(asked)
            answer = b""
            while not answer.endswith(b"x" * 100):
                piece = client.recv(4096)
                assert piece, f"{proxy.proxy.name} closed a connection after {answer!r}"
                answer += piece
        yield


def start_up(world: World) -> tuple[float, int]:
    """Return seconds until meshproxy serves, and its resident KiB then."""
    began = monotonic()
    with running(world, configs.meshproxy) as proxy:
        seconds = monotonic() - began
        settle(proxy.pids)
        return seconds, memory_kib(proxy.pids, "Rss")
