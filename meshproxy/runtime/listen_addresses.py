"""The addresses that a configuration listens on, and their sockets."""

import os
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from ipaddress import ip_address
from typing import NamedTuple

from gevent.socket import socket

from meshproxy.config.errors import Problem, Severity
from meshproxy.config.routers import RouterConfig
from meshproxy.config.schema import LinkerConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.router.own_listeners import OwnListener
from meshproxy.server.listening import listen

Address = tuple[str, int]


class ListenAddress(NamedTuple):
    """An address to listen on; equal addresses of two configurations share a socket."""

    ip: str
    port: int
    owner: str = ""
    """Distinguishes ports that the system chooses."""

    @classmethod
    def of(cls, ip: str, port: int, owner: str) -> "ListenAddress":
        """Returns the address of *ip* and *port* as they are written."""
        return cls(str(ip_address(ip)), port, "" if port else owner)

    @classmethod
    def of_server(cls, router: RouterConfig, index: int) -> "ListenAddress":
        """Returns the address of the server number *index* of *router*."""
        server = router.servers[index]
        return cls.of(server.ip, server.port, f"{router.name}/{index}")


def admin_address(config: LinkerConfig) -> ListenAddress:
    """Returns the address of the admin pages."""
    return ListenAddress.of(config.admin.ip, config.admin.port, "admin")


def identifier_address(config: LinkerConfig) -> ListenAddress | None:
    """Returns the address that only names requests; None if there is none."""
    port = config.admin.http_identifier_port
    return None if port is None else ListenAddress.of(config.admin.ip, port, "identifier")


def own_listeners(
    config: LinkerConfig, ports: Mapping[ListenAddress, int]
) -> Iterator[OwnListener]:
    """Yields all listeners of *config*, those of its admin server included.

    If the system chose a port, the one in *ports* is used.
    """
    for router in config.routers:
        for index in range(len(router.servers)):
            address = ListenAddress.of_server(router, index)
            yield OwnListener(address.ip, ports.get(address, address.port), router.name)
    for admin in (admin_address(config), identifier_address(config)):
        if admin is not None:
            yield OwnListener(admin.ip, ports.get(admin, admin.port))


def open_sockets(
    config: LinkerConfig,
    held: Collection[ListenAddress],
    inherited: MutableMapping[Address, socket],
) -> dict[ListenAddress, socket]:
    """Returns listening sockets for the addresses of *config* that are not *held* already.

    *inherited* sockets are used, by address, instead of binding. Raises OSError, with the address
    in its text, if one cannot be bound; then none is open.
    """
    opened: dict[ListenAddress, socket] = {}
    try:
        for address, options in _addresses(config):
            if address not in held and address not in opened:
                host_port = address.ip, address.port
                opened[address] = inherited.pop(host_port, None) or listen(host_port, options)
    except OSError:
        for sock in opened.values():
            sock.close()
        raise
    return opened


def _addresses(config: LinkerConfig) -> Iterator[tuple[ListenAddress, SocketOptionsConfig]]:
    unset = SocketOptionsConfig()
    for router in config.routers:
        for index, server in enumerate(router.servers):
            yield ListenAddress.of_server(router, index), server.socket_options or unset
    options = config.admin.socket_options or unset
    yield admin_address(config), options
    identifier = identifier_address(config)
    if identifier is not None:
        yield identifier, options


def absent_addresses(config: LinkerConfig) -> Iterator[Problem]:
    """Yields a problem for each address that this machine cannot listen on, whatever the port."""
    written = [(config.admin.ip, "admin.ip")]
    for number, router in enumerate(config.routers):
        for index, server in enumerate(router.servers):
            written.append((server.ip, f"routers[{number}].servers[{index}].ip"))
    for ip, path in written:
        try:
            listen((ip, 0), SocketOptionsConfig()).close()
        except OSError as error:
            what = f"this machine cannot listen on {ip}: {os.strerror(error.errno or 0)}"
            yield Problem(what, path, Severity.MISSING)
