"""Prometheus of Debian's package, a process that scrapes each page once a second."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gevent

from .daemons import START_S, Daemon, find
from .wire import free_port, get

_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: meshproxy
  metrics_path: /admin/metrics/prometheus
  static_configs: [{{targets: {targets}}}]
"""


class Prometheus(Daemon):
    """Scrapes the admin servers at *admin_ports*; a context manager."""

    def __init__(self, directory: Path, *admin_ports: int) -> None:
        config = directory / "prometheus.yml"
        targets = json.dumps([f"127.0.0.1:{port}" for port in admin_ports])
        config.write_text(_CONFIG.format(targets=targets))
        self.port = free_port()
        super().__init__(
            [
                find("prometheus") or "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory}/tsdb",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            directory / "prometheus.log",
        )
        self.wait_port(self.port)
        self._wait_ready()
        self.wait("up == 1")  # it takes five seconds until the first scrape

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that *expression* gives now; each has `metric` and `value`."""
        found = self._api("query", query=expression)["result"]
        return [one for one in found if one["value"][1] != "NaN"]

    def wait(self, expression: str) -> list[dict[str, Any]]:
        """Wait until *expression* gives a series, and return what it gives."""
        with gevent.Timeout(START_S):
            while not (found := self.query(expression)):
                gevent.sleep(0.2)
        return found

    def _wait_ready(self) -> None:
        """Wait until it answers queries; until then they get a 503 without JSON."""
        with gevent.Timeout(START_S):
            while get(self.port, "127.0.0.1", "/-/ready").status != 200:
                gevent.sleep(0.2)

    def target(self) -> dict[str, Any]:
        """Return what it says of its only target: `health`, `lastError`."""
        (one,) = self._api("targets")["activeTargets"]
        found: dict[str, Any] = one
        return found

    def _api(self, what: str, **parameters: str) -> dict[str, Any]:
        reply = get(self.port, "127.0.0.1", f"/api/v1/{what}?{urlencode(parameters)}")
        found = json.loads(reply.body)
        assert found["status"] == "success", found
        data: dict[str, Any] = found["data"]
        return data
