"""Requests as identifiers see them."""

from dataclasses import dataclass

from meshproxy.http.headers import of
from meshproxy.http.message import Request


@dataclass
class Peer:
    """Who asks, and where."""

    remote: str = "192.0.2.1:5000"
    local: str = "192.0.2.2:4140"


def request(
    target: bytes = b"/", method: bytes = b"GET", version: bytes = b"1.1", **fields: bytes
) -> Request:
    """Return a request with these fields; `_` stands for `-` in their names."""
    headers = of(*((name.replace("_", "-").encode(), value) for name, value in fields.items()))
    return Request(method, target, version, headers)
