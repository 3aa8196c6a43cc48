"""The addresses that workers share: one process takes them, each worker listens there.

With SO_REUSEPORT alone nobody would notice that a port is taken by another meshproxy: the kernel
would give each a part of the connections. So the supervisor binds every address first, without
that option, which fails as it should; then it allows its workers beside it. It never listens, so
it gets no connection, but the port stays taken while workers come and go.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from gevent import socket

from meshproxy.config.decode import Port
from meshproxy.config.routers import HttpRouterConfig, RouterConfig
from meshproxy.config.schema import AdminConfig, LinkerConfig
from meshproxy.config.servers import HttpServerConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.telemeters.recent_requests import RecentRequestsConfig

Wanted = tuple[str, int, int]
"""Address, port as written, and which of several servers at port 0 it is for."""
_NO_OPTIONS: Final = SocketOptionsConfig()


@dataclass(frozen=True, slots=True)
class Ports:
    """What was taken, in the order of the configuration."""

    servers: list[list[int]]
    """By router, by server."""
    identifier: int | None = None


class Addresses:
    """The addresses of one configuration after the other; those in both are never let go."""

    def __init__(self) -> None:
        self._held: dict[Wanted, socket.socket] = {}

    def take(self, config: LinkerConfig) -> Ports:
        """Take all of *config*, or none. Raises OSError, with the address in its text."""
        fresh: dict[Wanted, socket.socket] = {}
        times: Counter[tuple[str, int]] = Counter()

        def port_of(ip: str, port: int) -> int:
            times[ip, port] += 1
            wanted = ip, port, times[ip, port] if port == 0 else 0
            sock = self._held.get(wanted) or fresh.get(wanted)
            if sock is None:
                sock = fresh[wanted] = _reserve(ip, port)
            taken: int = sock.getsockname()[1]
            return taken

        try:
            ports = Ports(
                [
                    [port_of(one.ip, one.port) for one in _servers(router)]
                    for router in config.routers
                ]
            )
            if config.admin.http_identifier_port is not None:
                port = port_of(config.admin.ip, config.admin.http_identifier_port)
                ports = replace(ports, identifier=port)
        except OSError:
            for sock in fresh.values():
                sock.close()
            raise
        self._held |= fresh
        return ports

    def close(self) -> None:
        """Let all go."""
        for sock in self._held.values():
            sock.close()
        self._held.clear()


def worker_config(config: LinkerConfig, ports: Ports) -> LinkerConfig:
    """What a worker serves of *config*: the shared ports, and nothing that is reported once.

    Access logs are appended to; emptying and rolling them is for one process.
    """
    return replace(
        config,
        routers=tuple(map(_shared_router, config.routers, ports.servers)),
        admin=_shared_admin(config.admin, ports.identifier),
        telemetry=tuple(one for one in config.telemetry if isinstance(one, RecentRequestsConfig)),
    )


def _shared_router(router: RouterConfig, ports: list[int]) -> RouterConfig:
    if not isinstance(router, HttpRouterConfig):
        return router
    return replace(
        router,
        servers=tuple(
            replace(one, port=Port(port), socket_options=_shared(one.socket_options))
            for one, port in zip(router.servers, ports, strict=True)
        ),
        http_access_log_append=True,
        http_access_log_roll_policy="never",
    )


def _shared_admin(admin: AdminConfig, port: int | None) -> AdminConfig:
    identifier = None if port is None else Port(port)
    options = _shared(admin.socket_options)
    return replace(admin, http_identifier_port=identifier, socket_options=options)


def _shared(options: SocketOptionsConfig | None) -> SocketOptionsConfig:
    return replace(options or _NO_OPTIONS, reuse_port=True)


def _servers(router: RouterConfig) -> tuple[HttpServerConfig, ...]:
    return router.servers if isinstance(router, HttpRouterConfig) else ()


def _reserve(ip: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections in TIME_WAIT
        sock.bind((ip, port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        sock.close()
        shown = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
        raise OSError(error.errno, f"{shown}: {error.strerror}") from error
    return sock
