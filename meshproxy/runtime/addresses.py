"""The addresses that workers share: one process takes them, each worker listens there.

With SO_REUSEPORT alone nobody would notice that a port is taken by another meshproxy: the kernel
would give each a part of the connections. So the supervisor binds every address first, without
that option, which fails as it should; then it allows its workers beside it. It never listens, so
it gets no connection, but the port stays taken while workers come and go.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from typing import Final

from gevent import socket

from meshproxy.config.decode import Port
from meshproxy.config.routers import RouterConfig
from meshproxy.config.schema import AdminConfig, LinkerConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.runtime.listen_addresses import Address, ListenAddress, identifier_address

Ports = Mapping[ListenAddress, int]
_UNSET: Final = SocketOptionsConfig()


class Addresses:
    """The addresses of one configuration after the other; those of both are never let go.

    Sockets that somebody else opened are taken from *inherited*, by address, before any is bound:
    all workers accept from such a one.
    """

    def __init__(self, inherited: MutableMapping[Address, socket.socket]) -> None:
        self._inherited = inherited
        self._held: dict[ListenAddress, socket.socket] = {}
        self.listening: dict[Address, socket.socket] = {}
        """Those that were inherited."""

    def take(self, config: LinkerConfig) -> Ports:
        """Take all of *config*, or none; the ports.

        Raises OSError, with the address in its text, if one cannot be had.
        """
        fresh: dict[ListenAddress, socket.socket] = {}
        try:
            for place in _places(config):
                if place not in self._held and place not in fresh:
                    fresh[place] = self._open(place)
        except OSError:
            for sock in fresh.values():
                sock.close()
            raise
        self._held |= fresh
        return {place: sock.getsockname()[1] for place, sock in self._held.items()}

    def keep(self, config: LinkerConfig) -> None:
        """Let go what *config* does not need."""
        for place in self._held.keys() - set(_places(config)):
            self.listening.pop((place.ip, place.port), None)
            self._held.pop(place).close()

    def close(self) -> None:
        """Let all go."""
        for sock in self._held.values():
            sock.close()
        self._held.clear()
        self.listening.clear()

    def _open(self, place: ListenAddress) -> socket.socket:
        address = place.ip, place.port
        sock = self._inherited.pop(address, None)
        if sock is None:
            return _reserve(place)
        self.listening[address] = sock
        return sock


def server_ports(config: LinkerConfig, ports: Ports) -> dict[str, list[int]]:
    """Return those of *ports* that servers have, by router."""
    return {
        router.name: [ports[ListenAddress.of_server(router, n)] for n in range(len(router.servers))]
        for router in config.routers
    }


def worker_config(config: LinkerConfig, ports: Ports, admin_port: int) -> LinkerConfig:
    """What a worker serves of *config*: the shared ports, and nothing that is reported once.

    The admin server is the supervisor's, at *admin_port*: a worker only knows where it is.

    Access logs are appended to; emptying and rolling them is for one process.
    """
    return replace(
        config,
        routers=tuple(_shared_router(router, ports) for router in config.routers),
        admin=_shared_admin(config, ports, admin_port),
        telemetry=tuple(one for one in config.telemetry if one.in_workers),
    )


def _places(config: LinkerConfig) -> Iterator[ListenAddress]:
    for router in config.routers:
        for index in range(len(router.servers)):
            yield ListenAddress.of_server(router, index)
    identifier = identifier_address(config)
    if identifier is not None:
        yield identifier


def _shared_router(router: RouterConfig, ports: Ports) -> RouterConfig:
    return replace(
        router.for_worker(),
        servers=tuple(
            replace(
                server,
                port=Port(ports[ListenAddress.of_server(router, index)]),
                socket_options=_shared(server.socket_options),
            )
            for index, server in enumerate(router.servers)
        ),
    )


def _shared_admin(config: LinkerConfig, ports: Ports, admin_port: int) -> AdminConfig:
    place = identifier_address(config)
    return replace(
        config.admin,
        port=Port(admin_port),
        http_identifier_port=None if place is None else Port(ports[place]),
        socket_options=_shared(config.admin.socket_options),
    )


def _shared(options: SocketOptionsConfig | None) -> SocketOptionsConfig:
    return replace(options or _UNSET, reuse_port=True)


def _reserve(place: ListenAddress) -> socket.socket:
    """Bind *place*: beside past connections only if there are some, else beside nobody."""
    try:
        return _bind(place, reuse_addr=False)
    except OSError:
        return _bind(place, reuse_addr=True)


def _bind(place: ListenAddress, *, reuse_addr: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_addr)
        sock.bind((place.ip, place.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
    except OSError as error:
        sock.close()
        shown = f"[{place.ip}]:{place.port}" if ":" in place.ip else f"{place.ip}:{place.port}"
        raise OSError(error.errno, f"{shown}: {error.strerror}") from error
    return sock
