"""Guards on every test: only loopback is reached, and nothing is left running or open."""

import gc
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakSet

import gevent
import pytest
from hypothesis import settings

from tests.kit.namespace import Namespace
from tests.kit.zookeeper import ZooKeeper

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=300, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("MESHPROXY_CI") else "dev")

SETTLE_S = 5.0
"""How long what a test started may take to end after it."""
COLLECT_S = 0.1
"""Between collections meanwhile: each takes longer, the more tests have run."""
_spawned: WeakSet[gevent.Greenlet] = WeakSet()
gevent.Greenlet.add_spawn_callback(_spawned.add)
gc.disable()  # until everything is imported


def _only_loopback(
    event: str, args: tuple[object, ...], namespace: type[Namespace] = Namespace
) -> None:
    if namespace.is_entered or event not in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        return
    address = args[1]
    if not isinstance(address, tuple):
        return
    host = str(address[0])
    if not host.startswith(("127.", "::1", "::ffff:127.")) and host not in {"0.0.0.0", "localhost"}:
        raise PermissionError(f"a test may reach only loopback, not {host}")


sys.addaudithook(_only_loopback)


def _open_sockets() -> set[str]:
    links = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            links.add(target)
    return links


def _left(sockets: set[str], greenlets: set[gevent.Greenlet]) -> list[str]:
    running = [f"greenlet {one!r}" for one in set(_spawned) - greenlets if not one.dead]
    return running + sorted(_open_sockets() - sockets)


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves a greenlet running or a socket open."""
    sockets, greenlets = _open_sockets(), set(_spawned)
    yield
    if request.node.get_closest_marker("world"):
        return
    started = time.monotonic()
    collected = started
    while left := _left(sockets, greenlets):
        gevent.sleep(0.005)
        now = time.monotonic()
        if now > started + SETTLE_S:
            pytest.fail("left behind: " + ", ".join(left), pytrace=False)
        if now > collected + COLLECT_S:
            gc.collect()
            collected = time.monotonic()


def pytest_collection_finish() -> None:
    """Leave the tests' own code out of what each collection has to look through."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    """One server for a whole file of tests; each has nodes of its own."""
    with ZooKeeper(tmp_path_factory.mktemp("zookeeper")) as serving:
        yield serving
