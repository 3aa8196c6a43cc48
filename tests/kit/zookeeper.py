"""ZooKeeper from the distribution, a process of the test's own, and nodes to put into it."""

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoNodeError
from kazoo.handlers.gevent import SequentialGeventHandler

from .closing import Closing
from .daemons import Daemon, find
from .k8s import wait_until
from .wire import dial, free_port

JARS = ("/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar")
TICK_MS = 200

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
        java = ["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", ":".join(JARS)]
        main = "org.apache.zookeeper.server.ZooKeeperServerMain"
        log = self._directory / f"zookeeper-{self._starts}.log"
        self._daemon = Daemon([find("java") or "java", *java, main, str(config)], log)
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
            for path, value in nodes.items():
                if value is None:
                    client.delete(path, recursive=True)
                    continue
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                if client.exists(path):
                    client.set(path, data)
                else:
                    client.create(path, data, makepath=True)

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


def member(port: int, host: str = "127.0.0.1", **others: Any) -> dict[str, Any]:
    """Make the data of a member of a serverset."""
    return {
        "serviceEndpoint": {"host": host, "port": port},
        "additionalEndpoints": {},
        "status": "ALIVE",
        "shard": 0,
        **others,
    }
