"""Services, keys and the agent itself, as the HTTP API of Consul has them.

Changes come by blocking queries: the answer to a question with the index of an earlier answer is
held until there is a newer one (developer.hashicorp.com/consul/api-docs/features/blocking;
linkerd: consul/src/main/scala/io/buoyant/consul/v1).
"""

import random
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import gevent

from meshproxy.discovery.members import Members
from meshproxy.discovery.watching.api import Api
from meshproxy.discovery.watching.decoding import Malformed, ObjectReader, load
from meshproxy.discovery.watching.line import Line, Reply
from meshproxy.discovery.watching.watch import polled
from meshproxy.naming.addr import Address

T = TypeVar("T")

Consistency: TypeAlias = Literal["default", "stale", "consistent"]
Status: TypeAlias = Literal["passing", "warning", "critical", "maintenance"]
Meta: TypeAlias = tuple[tuple[str, str], ...]

HELD_S: Final = 600.0
"""How long an agent may hold a request; by default it does so for up to 320 s."""
POLL_S: Final = 10.0
"""Poll interval of watches for which no held request is left."""
AGENT_S: Final = 3600.0
_INDEX_DIGITS: Final = 20
DEFAULT_DOMAIN: Final = "consul"
_WORST_FIRST: Final[tuple[Status, ...]] = ("maintenance", "critical", "warning")


class ServiceKey(NamedTuple):
    """A service to ask for."""

    datacenter: str
    service: str
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceNodes:
    """The nodes of a service that are wanted."""

    members: Members
    meta: Meta = ()
    """The service's metadata, taken from its first node."""


@dataclass(frozen=True, slots=True)
class Agent:
    """The configuration of the agent."""

    datacenter: str
    domain: str
    """The domain of Consul's DNS, without dots at its ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFilter:
    """Selects the nodes of a service and what is read of them."""

    statuses: frozenset[str] | None = None
    """Health states that nodes may have; None asks the catalog, which has none."""
    prefers_service_address: bool = True
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weight by tag; a node with several has the highest, one without any has 1."""
    keeps_meta: bool = False


class Consul:
    """Requests to one agent; watches follow its generators."""

    def __init__(
        self, api: Api, consistency: Consistency = "default", nodes: NodeFilter | None = None
    ) -> None:
        self.api = api
        self._consistency = consistency
        self._filter = nodes or NodeFilter()

    def service(self, line: Line, key: ServiceKey) -> Generator[ServiceNodes, None, None]:
        """Yields the nodes of a service again after each change."""
        wanted = self._filter
        reader = _NodeReader(wanted)
        path = f"/v1/catalog/service/{quote(key.service, safe='')}"
        query = {"dc": key.datacenter}
        if key.tag is not None:
            query["tag"] = key.tag
        if wanted.statuses is not None:
            path = f"/v1/health/service/{quote(key.service, safe='')}"
            query["passing"] = "true" if wanted.statuses == {"passing"} else "false"
        yield from self._blocking(line, path, query, lambda reply: reader.read(reply.body))

    def value(
        self, line: Line, key: str, datacenter: str | None = None
    ) -> Generator[bytes | None, None, None]:
        """Yields the value at a key without a leading slash; None while there is none."""
        yield from self._blocking(
            line,
            f"/v1/kv/{quote(key)}",
            {} if datacenter is None else {"dc": datacenter},
            lambda reply: None if reply.status == 404 else reply.body,
            first={"raw": "true"},
            also=(404,),
        )

    def agent(self, line: Line) -> Generator[Agent, None, None]:
        """Yields the configuration of the agent."""
        yield from polled(lambda: _agent(line.ask("/v1/agent/self").body), lambda: AGENT_S)

    def _blocking(
        self,
        line: Line,
        path: str,
        query: Mapping[str, str],
        read: Callable[[Reply], T],
        first: Mapping[str, str] | None = None,
        also: tuple[int, ...] = (),
    ) -> Generator[T, None, None]:
        """Yields each answer as *read* returns it; *first* and *query* surround the index."""
        mode: dict[str, str] = {}
        if self._consistency != "default":
            mode[self._consistency] = "true"
        index: str | None = None
        with self.api.place() as has_place:
            while True:
                held = {"index": index} if index is not None and line.is_kept() else {}
                parameters = {**mode, **(first or {}), **held, **query}
                target = f"{path}?{urlencode(parameters, quote_via=quote, safe='')}"
                reply = line.ask(target, held_s=HELD_S if held else 0.0, also=also)
                index = _next_index(held.get("index"), reply.headers.get("x-consul-index"))
                yield read(reply)
                if not has_place:
                    line.hang_up()
                    gevent.sleep(POLL_S * random.uniform(0.9, 1.1))  # noqa: S311 - no secret
                    return


def bad_token(token: str | None) -> bool:
    """Returns True if no header can have *token*."""
    return token is not None and not (token.isascii() and token.isprintable())


def token_headers(token: str | None) -> Mapping[str, str]:
    """Returns the header fields that authenticate a request."""
    return {} if token is None else {"X-Consul-Token": token}


class _Node(NamedTuple):
    """The used part of one node of a service, as it was sent."""

    node_address: Any
    service_address: Any
    port: Any
    tags: Any
    node_meta: Any
    service_meta: Any
    status: Status = "passing"


class _Instance(NamedTuple):
    """A selected node."""

    address: Address
    service_meta: Meta


class _NodeReader:
    """Reads the answers about one service."""

    def __init__(self, nodes: NodeFilter) -> None:
        self._filter = nodes
        self._nodes = ObjectReader(self._instance)

    def read(self, body: bytes) -> ServiceNodes:
        """Reads a list of nodes; those without a usable address are left out. Raises Malformed."""
        meta: Meta | None = None

        def addresses() -> Iterator[Address]:
            nonlocal meta
            for one in self._nodes.items(body):
                if one is not None:
                    meta = one.service_meta if meta is None else meta
                    yield one.address

        members = Members.of(addresses())
        return ServiceNodes(members, meta or ())

    def _instance(self, sent: Any) -> _Instance | None:
        wanted = self._filter
        node = _catalog_node(sent) if wanted.statuses is None else _health_node(sent)
        if wanted.statuses is not None and node.status not in wanted.statuses:
            return None
        host = (wanted.prefers_service_address and node.service_address) or node.node_address
        port = node.port
        if not (host and isinstance(host, str) and isinstance(port, int) and 0 < port < 65536):
            return None
        weight = _weight(wanted.weights, node.tags) if wanted.weights else 1.0
        if not wanted.keeps_meta:
            return _Instance(Address(host, port, weight), ())
        address = Address(host, port, weight, _meta(node.node_meta))
        return _Instance(address, _meta(node.service_meta))


def _catalog_node(sent: Any) -> _Node:
    node = _object(sent)
    return _Node(
        node.get("Address"),
        node.get("ServiceAddress"),
        node.get("ServicePort"),
        node.get("ServiceTags"),
        node.get("NodeMeta"),
        node.get("ServiceMeta"),
    )


def _health_node(sent: Any) -> _Node:
    entry = _object(sent)
    node, service = _object(entry.get("Node")), _object(entry.get("Service"))
    checks = entry.get("Checks") or ()
    if not isinstance(checks, list | tuple):
        raise Malformed("the Checks of a node are not a list")
    return _Node(
        node.get("Address"),
        service.get("Address"),
        service.get("Port"),
        service.get("Tags"),
        node.get("Meta"),
        service.get("Meta"),
        _worst(_object(check).get("Status") for check in checks),
    )


def _worst(statuses: Iterable[object]) -> Status:
    """Returns the worst of *statuses*; an unknown one, or none at all, counts as passing."""
    found = set(statuses)
    return next((status for status in _WORST_FIRST if status in found), "passing")


def _weight(weights: Mapping[str, float], tags: Any) -> float:
    found = [weights[tag] for tag in tags or () if isinstance(tag, str) and tag in weights]
    return max(found, default=1.0)


def _meta(sent: Any) -> Meta:
    if not isinstance(sent, dict):
        return ()
    return tuple(sorted((str(name), str(value)) for name, value in sent.items()))


def _agent(body: bytes) -> Agent:
    said = _object(load(body))
    config, debug = _object(said.get("Config") or {}), _object(said.get("DebugConfig") or {})
    datacenter = config.get("Datacenter")
    if not isinstance(datacenter, str):
        raise Malformed("the agent does not say its datacenter")
    domain = config.get("Domain") or debug.get("DNSDomain") or DEFAULT_DOMAIN
    return Agent(datacenter, str(domain).strip("."))


def _object(sent: Any) -> dict[str, Any]:
    if not isinstance(sent, dict):
        raise Malformed(f"an object was expected, not {type(sent).__name__}")
    return sent


def _next_index(asked: str | None, given: str | None) -> str | None:
    """Returns the index of the next request; None if it went back or cannot be waited for."""
    if given is None:
        raise Malformed("the answer has no X-Consul-Index")
    if not (given.isascii() and given.isdecimal() and len(given) <= _INDEX_DIGITS and int(given)):
        return None
    return given if asked is None or int(given) >= int(asked) else None
