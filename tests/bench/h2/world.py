"""The upstream of HTTP/2: nghttpd, in clear and over TLS."""

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.bench.machine import cores
from tests.bench.world import SMALL, World
from tests.kit.daemons import Daemon, find

GRPC_MESSAGE: Final = b"\0\0\0\0\x7f" + b"m" * 127
PATHS: Final = 300
_MOST_STREAMS: Final = "1000"


class H2World(World):
    """The upstream, running on the core of the load; *more* are nghttpd's options."""

    def __init__(self, home: Path, *more: str) -> None:
        home.mkdir()
        super().__init__(home)
        self._more = more
        files = {"small": SMALL, "grpc": GRPC_MESSAGE}
        files |= {f"s{number}": SMALL for number in range(PATHS)}
        for name, body in files.items():
            (home / "www" / name).write_bytes(body)
        self._daemons: list[Daemon] = []

    def __enter__(self) -> Self:
        self._serve(self.port, "--no-tls", str(self.port))
        self._serve(self.tls_port, str(self.tls_port), str(self.key), str(self.chain))
        return self

    def _serve(self, port: int, *words: str) -> None:
        command = ["taskset", "-c", cores()[1], find("nghttpd") or "nghttpd", "-a", "127.0.0.1"]
        command += ["-d", str(self.home / "www"), "-m", _MOST_STREAMS, *self._more, *words]
        self._daemons.append(Daemon(command, self.home / f"nghttpd-{port}.log"))
        self._daemons[-1].wait_port(port)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for daemon in self._daemons:
            daemon.stop()
