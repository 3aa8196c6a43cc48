"""ZooKeeper from the distribution, a process of the test's own, and nodes to put into it."""

import json
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError
from kazoo.handlers.gevent import AsyncResult, SequentialGeventHandler

from .closing import Closing
from .daemons import Daemon, find
from .k8s import wait_until
from .wire import dial, free_port

JARS = ("/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar")
OPTIONS = [
    *("-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"),
    *("-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=1024"),  # no waiting for the disk
    *("-cp", ":".join(JARS)),
]
MAIN = "org.apache.zookeeper.server.ZooKeeperServerMain"
TICK_MS = 200
AT_ONCE = 100
"""Requests sent without waiting for an answer."""

needs_zookeeper = pytest.mark.skipif(
    find("java") is None or not Path(JARS[0]).exists(), reason="needs zookeeper and java"
)


class ZooKeeper(Closing):
    """A server of its own on 127.0.0.1; a context manager. Its sessions last 0.4 s at least."""

    def __init__(self, directory: Path) -> None:
        self._data = directory / "data"
        self._directory = directory
        self._starts = 0
        self.port = free_port()
        self._daemon: Daemon | None = None
        self.start()

    def start(self) -> None:
        """Serve, on the same port as before, with what is stored."""
        config = self._directory / "zoo.cfg"
        config.write_text(
            f"tickTime={TICK_MS}\ndataDir={self._data}\nclientPortAddress=127.0.0.1\n"
            f"clientPort={self.port}\nadmin.enableServer=false\nmaxClientCnxns=0\n"
            f"maxSessionTimeout=60000\n4lw.commands.whitelist=*\n"
        )
        self._starts += 1
        log = self._directory / f"zookeeper-{self._starts}.log"
        self._daemon = Daemon([find("java") or "java", *OPTIONS, MAIN, str(config)], log)
        self._daemon.wait_port(self.port)
        wait_until(self._serves)

    def stop(self) -> None:
        """End the server; what it stored stays."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def wipe(self) -> None:
        """Start again with nothing stored."""
        self.stop()
        shutil.rmtree(self._data)
        self.start()

    def _serves(self) -> bool:
        """Tell whether it does, and not only accepts connections."""
        try:
            return self.ask("mntr", timeout_s=0.5).startswith("zk_")
        except OSError:
            return False

    def ask(self, word: str, timeout_s: float = 5) -> str:
        """Return the answer to a four-letter word."""
        with dial(("127.0.0.1", self.port), timeout_s=timeout_s) as sock:
            sock.sendall(word.encode())
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    def measure(self, name: str) -> int:
        """Return one number of `mntr`: `zk_watch_count`, `zk_num_alive_connections`, ..."""
        lines = dict(line.split("\t") for line in self.ask("mntr").splitlines())
        return int(lines[name])

    @contextmanager
    def client(self) -> Iterator[KazooClient]:
        """Give a client with a session of its own."""
        client = KazooClient(f"127.0.0.1:{self.port}", handler=SequentialGeventHandler())
        client.start(timeout=20)
        try:
            yield client
        finally:
            client.stop()
            client.close()

    def put(self, nodes: dict[str, Any]) -> None:
        """Create or change nodes, with their parents; None deletes one and all below it."""
        with self.client() as client:
            for path in [path for path, value in nodes.items() if value is None]:
                _delete(client, path)
            data = {path: _data(value) for path, value in nodes.items() if value is not None}
            for paths in _some_at_a_time(data):
                asked = [client.create_async(path, data[path], makepath=True) for path in paths]
                for path, created in zip(paths, asked, strict=True):
                    try:
                        created.get()
                    except NodeExistsError:
                        client.set(path, data[path])

    def members(self, node: str) -> list[bytes]:
        """Return the data of the ephemeral nodes below *node*, nothing if it is not there."""
        with self.client() as client:
            if client.exists(node) is None:
                return []
            paths = [f"{node}/{name}" for name in sorted(client.get_children(node))]
            members = []
            for path in paths:
                with suppress(NoNodeError):  # it may go meanwhile
                    data, stat = client.get(path)
                    members += [data] if stat.ephemeralOwner else []
            return members

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server's process."""
        assert self._daemon is not None
        self._daemon.process.send_signal(number)

    def close(self) -> None:
        """End it."""
        self.stop()


def _data(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def _delete(client: KazooClient, top: str) -> None:
    """Delete *top* and all below it; what is gone, or goes meanwhile, is passed over."""
    levels = [[top]]
    while levels[-1]:
        below: list[str] = []
        for paths in _some_at_a_time(levels[-1]):
            listed = [client.get_children_async(path) for path in paths]
            for path, asked in zip(paths, listed, strict=True):
                below += [f"{path}/{name}" for name in _unless_gone(asked)]
        levels.append(below)
    for level in reversed(levels):
        for paths in _some_at_a_time(level):
            for asked in [client.delete_async(path) for path in paths]:
                _unless_gone(asked)


def _some_at_a_time(paths: Iterable[str]) -> Iterator[list[str]]:
    """Yield *paths* in parts; a server that has too much to do drops the connection."""
    rest = list(paths)
    while rest:
        yield rest[:AT_ONCE]
        del rest[:AT_ONCE]


def _unless_gone(asked: AsyncResult) -> Any:
    try:
        return asked.get()
    except NoNodeError:
        return []


def member(port: int, host: str = "127.0.0.1", **others: Any) -> dict[str, Any]:
    """Make the data of a member of a serverset."""
    return {
        "serviceEndpoint": {"host": host, "port": port},
        "additionalEndpoints": {},
        "status": "ALIVE",
        "shard": 0,
        **others,
    }
