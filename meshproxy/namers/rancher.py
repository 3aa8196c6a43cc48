"""Names of services in Rancher 1.x: io.l5d.rancher (linkerd: namer/rancher/src/main/scala).

All containers are in one list, which is read again when the version of the metadata changes.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import quote

from meshproxy.backoff import constant
from meshproxy.config.bases import NamerConfig, NamerDeps
from meshproxy.config.decode import Port, key
from meshproxy.discovery.members import Members, Resolve, bind_members
from meshproxy.discovery.watching.api import Api
from meshproxy.discovery.watching.decoding import member, read_list
from meshproxy.discovery.watching.line import Line
from meshproxy.discovery.watching.watch import Watch, Watches, WatchStats
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.naming.followed import Followed
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG
from meshproxy.naming.path import Path
from meshproxy.var import Ok, State

HOST: Final = "rancher-metadata"
VERSION: Final = "/2015-12-19"
RETRY_S: Final = 5.0
GRACE_S: Final = 10.0
"""How late the server may report that nothing has changed."""
_LENGTH: Final = 3

Services = Mapping[tuple[str, str], frozenset[str]]
"""The addresses of running containers, by stack and service in lower case."""


class RancherNamer:
    """Names `/port/stack/service`, the port by number or by the name it has in *ports*.

    A service without running containers is negative. Names are pending until the first answer;
    afterwards the last answer stays.
    """

    def __init__(
        self,
        prefix: Path,
        api: Api,
        ports: Mapping[str, int],
        max_wait_s: int,
        metrics: Tree,
        resolve: Resolve,
    ) -> None:
        self.prefix = prefix
        self._resolve = resolve
        self._ports = ports
        versions = metrics.counter("metadata_versions")
        stats = WatchStats(metrics)

        def follow(line: Line) -> Generator[Services, None, None]:
            for services in _services(line, max_wait_s):
                versions.incr()
                yield services

        def watch(_: None) -> Watch[Services]:
            return Watch(
                api,
                "containers",
                follow,
                backoff=constant(RETRY_S),
                stats=stats,
                show=lambda services: {"/".join(key): sorted(services[key]) for key in services},
            )

        self._watches: Watches[None, Services] = Watches(watch)

    def lookup(self, path: Path) -> Lookup:
        """Returns negative until the service has containers, and then their addresses."""
        consumed = path.take(_LENGTH)
        try:
            port_name, stack, service = (segment.decode() for segment in consumed)
        except ValueError:  # too few, or not UTF-8
            return NEG
        port = self._port(port_name)
        if port is None:
            return NEG
        wanted = stack.lower(), service.lower()

        def of(state: State[Services]) -> State[Members]:
            if not isinstance(state, Ok):
                return state
            hosts = state.value.get(wanted, ())
            return Ok(Members.of(Address(host, port) for host in hosts))

        found = self._watches.follow(None).map(of)
        return bind_members(found, self.prefix + consumed, path.drop(_LENGTH), self._resolve)

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of the containers, if any name is in use."""
        return self._watches.describe()

    def followed(self) -> Iterator[Followed]:
        """Yields the same in brief."""
        return self._watches.followed()

    def _port(self, text: str) -> int | None:
        number = int(text) if text.isascii() and text.isdecimal() else self._ports.get(text)
        return number if number is not None and 0 < number < 65536 else None


def _services(line: Line, max_wait_s: int) -> Generator[Services, None, None]:
    """Yields the running containers after each change of the metadata."""
    known = "initial"
    while True:
        query = f"wait=true&maxWait={max_wait_s}&value={quote(known, safe='')}"
        reply = line.ask(f"{VERSION}/version?{query}", held_s=max_wait_s + GRACE_S)
        version = reply.body.decode("utf-8", "replace").strip()
        if version != known:
            json = {"Accept": "application/json"}
            yield _running(line.ask(f"{VERSION}/containers", headers=json).body)
            known = version


def _running(body: bytes) -> Services:
    services: dict[tuple[str, str], set[str]] = {}
    containers, _ = read_list(body, _container)
    for service, address in containers:
        services.setdefault(service, set()).add(address)
    return {service: frozenset(found) for service, found in services.items()}


def _container(sent: Any) -> tuple[tuple[str, str], str] | None:
    """Returns the service and the address of a container that runs in a service."""
    names = ("state", "stack_name", "service_name", "primary_ip")
    fields = [member(sent, name) for name in names]
    if not all(field and isinstance(field, str) for field in fields) or fields[0] != "running":
        return None
    _, stack, service, address = fields
    return (stack.lower(), service.lower()), address


@dataclass(frozen=True, slots=True, kw_only=True)
class RancherNamerConfig(NamerConfig):
    """Services of Rancher by `/port/stack/service`, found by the metadata service of its hosts."""

    kind: ClassVar[str] = "io.l5d.rancher"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.rancher")
    requires_experimental: ClassVar[bool] = True

    port_mappings: Mapping[str, Port] | None = key(
        default=None,
        minimum=1,
        doc="Names of ports, in addition to `http`, which is 80, and `https`, which is 443.",
    )
    max_wait: int = key(
        default=30, minimum=1, doc="Seconds that the metadata service may hold a request."
    )

    def build(self, deps: NamerDeps) -> RancherNamer:
        """Returns the namer."""
        ports = {"http": 80, "https": 443, **(self.port_mappings or {})}
        api = Api.at(deps.bind, HOST, 80)
        return RancherNamer(
            deps.prefix, api, ports, self.max_wait, deps.metrics, deps.resolver.resolve
        )
