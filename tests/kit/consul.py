"""An agent of Consul: catalog, health, keys and itself, with blocking queries and tokens.

Follows developer.hashicorp.com/consul/api-docs, well enough for py-consul.
"""

import base64
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from .http_api import Asked, HttpApi, Said

Object = dict[str, Any]
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(slots=True)
class Registration:
    """One instance of a service, on a node of its own unless told otherwise."""

    service: str
    id: str
    address: str
    port: int
    tags: list[str] = field(default_factory=list)
    node: str = ""
    node_address: str = "192.0.2.1"
    meta: dict[str, str] = field(default_factory=dict)
    node_meta: dict[str, str] = field(default_factory=dict)
    checks: list[str] = field(default_factory=lambda: ["passing"])
    """The states of its checks, its node's included."""
    created: int = 0
    modified: int = 0


class ConsulAgent(HttpApi):
    """Serves until closed. Change what it knows by `register`, `deregister`, `put` and so on."""

    def __init__(self, *, datacenter: str = "dc1", domain: str = "consul.", **where: Any) -> None:
        self.datacenter = datacenter
        self.domain = domain
        self.token: str | None = None
        """The only token that is let in, if there is one."""
        self.blocks = True
        """Questions with an index are held."""
        self.says_index = True
        self.is_old = False
        """As before Consul 1.0, `Config` of the agent has everything."""
        self.instances: dict[str, Registration] = {}
        self.keys: dict[str, tuple[bytes, int]] = {}
        self._index = 10
        self._gone: dict[str, int] = {}
        """When something was last taken from a service, or from the keys under ''."""
        self._numbers = count(1)
        super().__init__(**where)

    # What the agent knows

    def register(self, service: str, address: str, port: int, **more: Any) -> str:
        """Register an instance, and return its id."""
        name = more.pop("id", None) or f"{service}-{next(self._numbers)}"
        known = self.instances.get(name)
        instance = Registration(service, name, address, port, **more)
        instance.node = instance.node or f"node-of-{name}"
        instance.modified = self._next_index()
        instance.created = known.created if known else instance.modified
        self.instances[name] = instance
        self.tell()
        return name

    def deregister(self, name: str) -> None:
        """Take an instance away."""
        self._gone[self.instances.pop(name).service] = self._next_index()
        self.tell()

    def check(self, name: str, *states: str) -> None:
        """Let the checks of an instance be in these states."""
        instance = self.instances[name]
        instance.checks = list(states)
        instance.modified = self._next_index()
        self.tell()

    def put(self, key: str, value: bytes) -> None:
        """Write a key."""
        self.keys[key] = value, self._next_index()
        self.tell()

    def delete(self, key: str) -> None:
        """Delete a key."""
        del self.keys[key]
        self._gone[""] = self._next_index()
        self.tell()

    def wipe(self) -> None:
        """Lose all data, as after a restore of nothing: indexes begin anew."""
        self.instances.clear()
        self.keys.clear()
        self._gone.clear()
        self._index = 1
        self.cut()

    # How it answers

    def answer(self, asked: Asked) -> Said:
        """Answer as the agent's HTTP API does."""
        return self._refusal(asked) or self._answer(asked)

    def _refusal(self, asked: Asked) -> Said | None:
        if self.token is not None and asked.get("X-Consul-Token") != self.token:
            return Said(403, b"Permission denied: token with AccessorID '' lacks permission")
        if "stale" in asked.query and "consistent" in asked.query:
            return Said(400, b"Cannot specify ?stale with ?consistent, conflicting semantics.")
        if asked.query.get("dc", self.datacenter) != self.datacenter:
            return Said(500, b"No path to datacenter")
        return None

    def _answer(self, asked: Asked) -> Said:
        said = Said(404, b"Invalid URL path: not a recognized HTTP API endpoint")
        match asked.method, asked.segments:
            case "GET", ["v1", "catalog" | "health" as of, "service", name]:
                said = self._blocking(asked, lambda: self._service(of, name, asked.query))
            case method, ["v1", "kv", *rest]:
                said = self._key(method, "/".join(rest), asked)
            case "GET", ["v1", "catalog", "services"]:
                said = self._blocking(asked, self._services)
            case "GET", ["v1", "agent", "self"]:
                said = _json(self._self())
            case "PUT", ["v1", "agent", "service", "register"]:
                said = self._register(json.loads(asked.body))
            case "PUT", ["v1", "agent", "service", "deregister", name]:
                self.deregister(name)
                said = Said()
        return said

    def _blocking(self, asked: Asked, look: Callable[[], tuple[int, Said]]) -> Said:
        known = asked.query.get("index", "0")
        if not known.isdigit():
            return Said(400, b"Invalid index")
        if int(known) and self.blocks:
            wait_s = min(_duration(asked.query.get("wait", "5m")), 600.0)
            self.wait(lambda: look()[0] > int(known), wait_s * (1 + random.random() / 16))
        index, said = look()
        more = (("X-Consul-Index", str(index)), ("X-Consul-KnownLeader", "true")) * self.says_index
        return Said(said.status, said.body, (*said.headers, *more))

    def _service(self, of: str, name: str, query: dict[str, str]) -> tuple[int, Said]:
        found = [one for one in self.instances.values() if one.service == name]
        index = max([self._gone.get(name, 1), *(one.modified for one in found)])
        tag = query.get("tag", "").lower()
        if tag:
            found = [one for one in found if tag in map(str.lower, one.tags)]
        if of == "catalog":
            return index, _json([_catalog(one, self.datacenter) for one in found])
        if "passing" in query and query["passing"] not in ("false", "0", "f"):
            found = [one for one in found if set(one.checks) <= {"passing"}]
        return index, _json([_health(one, self.datacenter) for one in found])

    def _services(self) -> tuple[int, Said]:
        tags: dict[str, list[str]] = {"consul": []}
        for one in self.instances.values():
            tags[one.service] = sorted({*tags.get(one.service, []), *one.tags})
        return self._index, _json(tags)

    def _key(self, method: str, key: str, asked: Asked) -> Said:
        if method == "PUT":
            self.put(key, asked.body)
            return _json(True)
        if method == "DELETE":
            self.delete(key)
            return _json(True)
        return self._blocking(asked, lambda: self._value(key, is_raw="raw" in asked.query))

    def _value(self, key: str, *, is_raw: bool) -> tuple[int, Said]:
        if key not in self.keys:
            return max(self._gone.get("", 1), 1), Said(404)
        value, index = self.keys[key]
        if is_raw:
            return index, Said(body=value, headers=(("Content-Type", "application/octet-stream"),))
        entry = {
            "LockIndex": 0,
            "Key": key,
            "Flags": 0,
            "Value": base64.b64encode(value).decode(),
            "CreateIndex": index,
            "ModifyIndex": index,
        }
        return index, _json([entry])

    def _self(self) -> Object:
        names = {"Datacenter": self.datacenter, "NodeName": "agent", "Server": True}
        if self.is_old:
            return {"Config": {**names, "Domain": self.domain}}
        return {
            "Config": {**names, "Version": "1.20.1"},
            "DebugConfig": {"DNSDomain": self.domain},
            "Member": {"Name": "agent"},
        }

    def _register(self, sent: Object) -> Said:
        body = {name.lower(): value for name, value in sent.items()}
        self.register(
            body["name"],
            body.get("address", ""),
            body.get("port", 0),
            id=body.get("id"),
            tags=body.get("tags") or [],
            meta=body.get("meta") or {},
        )
        return Said()

    def _next_index(self) -> int:
        self._index += 1
        return self._index


def _catalog(one: Registration, datacenter: str) -> Object:
    return {
        "ID": f"id-of-{one.node}",
        "Node": one.node,
        "Address": one.node_address,
        "Datacenter": datacenter,
        "TaggedAddresses": {"lan": one.node_address, "wan": one.node_address},
        "NodeMeta": one.node_meta,
        "ServiceKind": "",
        "ServiceID": one.id,
        "ServiceName": one.service,
        "ServiceTags": one.tags,
        "ServiceAddress": one.address,
        "ServiceWeights": {"Passing": 1, "Warning": 1},
        "ServiceMeta": one.meta,
        "ServicePort": one.port,
        "ServiceEnableTagOverride": False,
        "ServiceProxy": {"MeshGateway": {}, "Expose": {}},
        "ServiceConnect": {},
        "CreateIndex": one.created,
        "ModifyIndex": one.modified,
    }


def _health(one: Registration, datacenter: str) -> Object:
    return {
        "Node": {
            "ID": f"id-of-{one.node}",
            "Node": one.node,
            "Address": one.node_address,
            "Datacenter": datacenter,
            "TaggedAddresses": {"lan": one.node_address, "wan": one.node_address},
            "Meta": one.node_meta,
            "CreateIndex": one.created,
            "ModifyIndex": one.modified,
        },
        "Service": {
            "ID": one.id,
            "Service": one.service,
            "Tags": one.tags,
            "Address": one.address,
            "Meta": one.meta,
            "Port": one.port,
            "Weights": {"Passing": 1, "Warning": 1},
            "EnableTagOverride": False,
            "CreateIndex": one.created,
            "ModifyIndex": one.modified,
        },
        "Checks": [
            {
                "Node": one.node,
                "CheckID": f"check-{number}",
                "Name": f"check {number}",
                "Status": status,
                "Output": "",
                "ServiceID": one.id,
                "ServiceName": one.service,
            }
            for number, status in enumerate(one.checks)
        ],
    }


def _json(value: object) -> Said:
    body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    return Said(body=body, headers=(("Content-Type", "application/json"),))


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+)(ms|s|m|h)", text)
    return int(match[1]) * _UNITS[match[2]] if match else 300.0
