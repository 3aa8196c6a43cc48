"""The metadata service of Rancher 1.x: a version that may be waited for, and the containers.

Follows rancher.com/docs/rancher/v1.6/en/rancher-services/metadata-service.
"""

import json
from typing import Any

from .http_api import Asked, HttpApi, Said

Container = dict[str, Any]


class RancherMetadata(HttpApi):
    """Serves until closed. Change what runs by `put`."""

    def __init__(self, **where: Any) -> None:
        self.containers: list[Container] = []
        self.version = 1
        super().__init__(**where)

    def put(self, *containers: Container) -> None:
        """Let these containers run, and no others."""
        self.containers = list(containers)
        self.version += 1
        self.tell()

    def answer(self, asked: Asked) -> Said:
        """Answer as the metadata service does."""
        match asked.segments:
            case ["2015-12-19", "version"]:
                return self._version(asked.query)
            case ["2015-12-19", "containers"]:
                if asked.get("Accept") != "application/json":
                    names = "".join(f"{n}={one['name']}\n" for n, one in enumerate(self.containers))
                    return Said(body=names.encode())
                return Said(body=json.dumps(self.containers).encode())
        return Said(404, b"Not found")

    def _version(self, query: dict[str, str]) -> Said:
        if query.get("wait") == "true":
            wait_s = float(query.get("maxWait", 60))
            self.wait(lambda: str(self.version) != query.get("value"), wait_s)
        return Said(body=f"{self.version}\n".encode())


def container(ip: str, service: str = "web", stack: str = "shop", **more: Any) -> Container:
    """Describe a container that runs."""
    return {
        "name": f"{stack}-{service}-{ip}",
        "primary_ip": ip,
        "service_name": service,
        "stack_name": stack,
        "state": "running",
        "health_state": "healthy",
        "labels": {},
        "ports": [],
        **more,
    }
