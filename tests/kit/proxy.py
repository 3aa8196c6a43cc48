"""A whole proxy in this process, from the text of its configuration."""

import json
from types import TracebackType
from typing import Self

from meshproxy.runtime.linker import Linker

from .wire import get


class Proxy:
    """Runs *config*, whose ports are 0, until closed; a context manager."""

    def __init__(self, config: str) -> None:
        self.linker = Linker.load(config, "test.yaml")
        self.linker.start()

    def port(self, router: str = "http", server: int = 0) -> int:
        """Return the port that *router*'s server number *server* got."""
        return self.linker.ports[router][server]

    def metrics(self) -> dict[str, float]:
        """Return what the admin server shows at /admin/metrics.json."""
        reply = get(self.linker.admin_port, "localhost", "/admin/metrics.json")
        assert reply.status == 200
        metrics: dict[str, float] = json.loads(reply.body)
        return metrics

    def close(self) -> None:
        """Stop serving."""
        self.linker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
