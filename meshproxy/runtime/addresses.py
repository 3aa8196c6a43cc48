"""The addresses shared by workers: the supervisor binds them, each worker listens there.

With SO_REUSEPORT alone nobody would notice that another meshproxy has the port: the kernel would
give each of them a part of the connections. So the supervisor binds every address without that
option first, which fails as it should, and sets it afterwards, so that workers can bind as well. It
never listens, so it gets no connections, but the port stays taken while workers come and go.
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
    """The addresses of one configuration after another; those in both are never released.

    Sockets opened by another process are taken from *inherited*, by address, before any is bound;
    all workers accept from such a socket.
    """

    def __init__(self, inherited: MutableMapping[Address, socket.socket]) -> None:
        self._inherited = inherited
        self._held: dict[ListenAddress, socket.socket] = {}
        self.listening: dict[Address, socket.socket] = {}
        """Inherited sockets by address."""

    def take(self, config: LinkerConfig) -> Ports:
        """Takes all addresses of *config* or none. Returns the ports.

        Raises OSError, with the address in its text, if one cannot be taken.
        """
        fresh: dict[ListenAddress, socket.socket] = {}
        try:
            for address in _addresses(config):
                if address not in self._held and address not in fresh:
                    fresh[address] = self._open(address)
        except OSError:
            for sock in fresh.values():
                sock.close()
            raise
        self._held |= fresh
        return {address: sock.getsockname()[1] for address, sock in self._held.items()}

    def keep(self, config: LinkerConfig) -> None:
        """Releases the addresses that *config* does not need."""
        for address in self._held.keys() - set(_addresses(config)):
            self.listening.pop((address.ip, address.port), None)
            self._held.pop(address).close()

    def close(self) -> None:
        """Releases all addresses."""
        for sock in self._held.values():
            sock.close()
        self._held.clear()
        self.listening.clear()

    def _open(self, address: ListenAddress) -> socket.socket:
        host_port = address.ip, address.port
        sock = self._inherited.pop(host_port, None)
        if sock is None:
            return _reserve(address)
        self.listening[host_port] = sock
        return sock


def server_ports(config: LinkerConfig, ports: Ports) -> dict[str, list[int]]:
    """Returns those of *ports* that belong to servers, by router."""
    return {
        router.name: [ports[ListenAddress.of_server(router, n)] for n in range(len(router.servers))]
        for router in config.routers
    }


def worker_config(config: LinkerConfig, ports: Ports, admin_port: int) -> LinkerConfig:
    """Returns the part of *config* for a worker: the shared ports, without what is reported once.

    The admin server belongs to the supervisor, at *admin_port*: a worker only knows the port.

    Access logs are appended to; emptying and rolling them is for one process.
    """
    return replace(
        config,
        routers=tuple(_shared_router(router, ports) for router in config.routers),
        admin=_shared_admin(config, ports, admin_port),
        telemetry=tuple(one for one in config.telemetry if one.in_workers),
    )


def _addresses(config: LinkerConfig) -> Iterator[ListenAddress]:
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
    address = identifier_address(config)
    return replace(
        config.admin,
        port=Port(admin_port),
        http_identifier_port=None if address is None else Port(ports[address]),
        socket_options=_shared(config.admin.socket_options),
    )


def _shared(options: SocketOptionsConfig | None) -> SocketOptionsConfig:
    return replace(options or _UNSET, reuse_port=True)


def _reserve(address: ListenAddress) -> socket.socket:
    """Binds *address* exclusively; with SO_REUSEADDR if only past connections are in the way."""
    try:
        return _bind(address, reuse_addr=False)
    except OSError:
        return _bind(address, reuse_addr=True)


def _bind(address: ListenAddress, *, reuse_addr: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.ip else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_addr)
        sock.bind((address.ip, address.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, True)
    except OSError as error:
        sock.close()
        shown = (
            f"[{address.ip}]:{address.port}"
            if ":" in address.ip
            else f"{address.ip}:{address.port}"
        )
        raise OSError(error.errno, f"{shown}: {error.strerror}") from error
    return sock
