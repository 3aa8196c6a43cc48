"""A Consul agent with one large service, of which an instance moves after each interval.

`python -m tests.bench.agent PORT INSTANCES INTERVAL_S UPSTREAM_PORT` writes a line for each answer.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

SERVICE: Final = "big"
_NAMES: Final = {"lan": "192.0.2.10", "wan": "192.0.2.10"}
_CHECKS: Final = (("serfHealth", "Agent alive and reachable"), ("http", "HTTP GET /: 200 OK"))


def address(number: int) -> str:
    """Return an address of loopback for each number."""
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"


def catalog(number: int, at: str, port: int, index: int) -> dict[str, Any]:
    """Return an instance as the catalog has it."""
    return {
        "ID": f"40e4a748-2192-161a-0510-{number:012d}",
        "Node": f"node-{number:05d}",
        "Address": at,
        "Datacenter": "dc1",
        "TaggedAddresses": _NAMES,
        "NodeMeta": {"consul-network-segment": ""},
        "ServiceKind": "",
        "ServiceID": f"{SERVICE}-{number}",
        "ServiceName": SERVICE,
        "ServiceTags": ["production", "v1"],
        "ServiceAddress": "",
        "ServiceWeights": {"Passing": 1, "Warning": 1},
        "ServiceMeta": {"version": "1.2.3"},
        "ServicePort": port,
        "ServiceEnableTagOverride": False,
        "ServiceProxy": {"Mode": "", "MeshGateway": {}, "Expose": {}},
        "ServiceConnect": {},
        "CreateIndex": 51,
        "ModifyIndex": index,
    }


def health(number: int, at: str, port: int, index: int) -> dict[str, Any]:
    """Return an instance with its checks."""
    node = f"node-{number:05d}"
    return {
        "Node": {
            "ID": f"40e4a748-2192-161a-0510-{number:012d}",
            "Node": node,
            "Address": at,
            "Datacenter": "dc1",
            "TaggedAddresses": _NAMES,
            "Meta": {"consul-network-segment": ""},
            "CreateIndex": 50,
            "ModifyIndex": 50,
        },
        "Service": {
            "ID": f"{SERVICE}-{number}",
            "Service": SERVICE,
            "Tags": ["production", "v1"],
            "Address": "",
            "Meta": {"version": "1.2.3"},
            "Port": port,
            "Weights": {"Passing": 1, "Warning": 1},
            "EnableTagOverride": False,
            "Proxy": {"Mode": "", "MeshGateway": {}, "Expose": {}},
            "Connect": {},
            "CreateIndex": 51,
            "ModifyIndex": index,
        },
        "Checks": [
            {
                "Node": node,
                "CheckID": check,
                "Name": check,
                "Status": "passing",
                "Notes": "",
                "Output": output,
                "ServiceID": f"{SERVICE}-{number}",
                "ServiceName": SERVICE,
                "ServiceTags": ["production", "v1"],
                "Type": "",
                "Definition": {},
                "CreateIndex": 51,
                "ModifyIndex": index,
            }
            for check, output in _CHECKS
        ],
    }


class Agent:
    """The instances of the service, as text."""

    def __init__(self, count: int, interval_s: float, upstream_port: int) -> None:
        self._interval_s = interval_s
        self._port = upstream_port
        self._index = 100
        self._changed_at = time.monotonic()
        numbers = range(count)
        self._texts = {
            of.__name__: [json.dumps(of(n, address(n), upstream_port, 51)) for n in numbers]
            for of in (catalog, health)
        }

    def answer(self, kind: str, index: int) -> tuple[int, bytes]:
        """Return the next index and the body, after one more instance has moved."""
        if index >= self._index:
            time.sleep(max(0.0, self._changed_at + self._interval_s - time.monotonic()))
            self._move(kind)
        return self._index, f"[{','.join(self._texts[kind])}]".encode()

    def _move(self, kind: str) -> None:
        self._index += 1
        self._changed_at = time.monotonic()
        texts = self._texts[kind]
        number = self._index * 7919 % len(texts)
        at = address(len(texts) + self._index)
        of = {"catalog": catalog, "health": health}[kind]
        texts[number] = json.dumps(of(number, at, self._port, self._index))


def main(port: int, agent: Agent) -> None:
    """Serve for ever."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            asked = dict(part.split("=", 1) for part in query.split("&"))
            _, _, kind, _, service = path.split("/")
            index, body = 1, b"[]"
            if service == SERVICE:
                index, body = agent.answer(kind, int(asked.get("index", "0")))
            elif "index" in asked:
                threading.Event().wait()
            self.send_response(200)
            self.send_header("X-Consul-Index", str(index))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write one line for each answer."""
            print("answered", flush=True)

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    port, count, interval_s, upstream_port = sys.argv[1:]
    main(int(port), Agent(int(count), float(interval_s), int(upstream_port)))
