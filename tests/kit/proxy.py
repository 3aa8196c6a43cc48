"""A whole proxy in this process, from the text of its configuration."""

import json

from meshproxy.config.load import load
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.listen_addresses import identifier_address

from .closing import Closing
from .k8s import wait_until
from .wire import get

SERVER = "rt/http/server/127.0.0.1/0"
"""The metrics of the first server of the router `http`, its port being 0."""


def client(port: int) -> str:
    """Return the metrics' scope of the client bound to this port of loopback."""
    return f"rt/http/client/$/inet/127.0.0.1/{port}"


class Proxy(Closing):
    """Runs *config*, whose ports are 0, until closed; a context manager."""

    def __init__(self, config: str) -> None:
        self.linker = Linker.load(config, "test.yaml")
        self.linker.start()

    def reload(self, config: str) -> None:
        """Serve *config* from now on."""
        self.linker.reload(load(config, "test.yaml"))

    def port(self, router: str = "http", server: int = 0) -> int:
        """Return the port that *router*'s server number *server* got."""
        return self.linker.ports[router][server]

    @property
    def identifier_port(self) -> int:
        """The port that `httpIdentifierPort` got."""
        address = identifier_address(self.linker.config)
        assert address is not None
        return self.linker._listeners[address].port

    def metrics(self) -> dict[str, float]:
        """Return what the admin server shows at /admin/metrics.json."""
        reply = get(self.linker.admin_port, "localhost", "/admin/metrics.json")
        assert reply.status == 200
        metrics: dict[str, float] = json.loads(reply.body)
        return metrics

    def counts(self, scope: str, *names: str) -> list[float]:
        """Return what these *names* of *scope* show; 0 for what is not there."""
        metrics = self.metrics()
        return [metrics.get(f"{scope}/{name}", 0) for name in names]

    def wait_count(self, scope: str, name: str, value: float = 1) -> None:
        """Wait until *name* of *scope* shows *value*; fails with what it shows instead."""
        try:
            wait_until(lambda: self.counts(scope, name) == [value])
        except AssertionError:
            raise AssertionError(f"{scope}/{name} is {self.counts(scope, name)}") from None

    def close(self) -> None:
        """Stop serving."""
        self.linker.close()
