"""Where a configuration listens, and the sockets to listen with."""

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
from meshproxy.server.listener import listen

Address = tuple[str, int]


class ListenAddress(NamedTuple):
    """An address to listen on; equal places of two configurations share a socket."""

    ip: str
    port: int
    owner: str = ""
    """Tells ports apart that the system chooses."""

    @classmethod
    def of(cls, ip: str, port: int, owner: str) -> "ListenAddress":
        """The place of *ip* and *port* as they are written."""
        return cls(str(ip_address(ip)), port, "" if port else owner)

    @classmethod
    def of_server(cls, router: RouterConfig, index: int) -> "ListenAddress":
        """The place of the server number *index* of *router*."""
        server = router.servers[index]
        return cls.of(server.ip, server.port, f"{router.name}/{index}")


def admin_address(config: LinkerConfig) -> ListenAddress:
    """Where the admin pages are."""
    return ListenAddress.of(config.admin.ip, config.admin.port, "admin")


def identifier_address(config: LinkerConfig) -> ListenAddress | None:
    """Where requests are only named, if anywhere."""
    port = config.admin.http_identifier_port
    return None if port is None else ListenAddress.of(config.admin.ip, port, "identifier")


def own_listeners(
    config: LinkerConfig, ports: Mapping[ListenAddress, int]
) -> Iterator[OwnListener]:
    """Yields all that *config* listens on, those of its admin server too.

    The port is that in *ports*, where the system chose one.
    """
    for router in config.routers:
        for index in range(len(router.servers)):
            place = ListenAddress.of_server(router, index)
            yield OwnListener(place.ip, ports.get(place, place.port), router.name)
    for admin in (admin_address(config), identifier_address(config)):
        if admin is not None:
            yield OwnListener(admin.ip, ports.get(admin, admin.port))


def open_sockets(
    config: LinkerConfig,
    held: Collection[ListenAddress],
    inherited: MutableMapping[Address, socket],
) -> dict[ListenAddress, socket]:
    """Listening sockets for the places of *config* that are not *held* already.

    One of the *inherited*, by address, is taken instead of binding. Raises OSError, with the
    address in its text, when one cannot be had; then none is open.
    """
    opened: dict[ListenAddress, socket] = {}
    try:
        for place, options in _places(config):
            if place not in held and place not in opened:
                address = place.ip, place.port
                opened[place] = inherited.pop(address, None) or listen(address, options)
    except OSError:
        for sock in opened.values():
            sock.close()
        raise
    return opened


def _places(config: LinkerConfig) -> Iterator[tuple[ListenAddress, SocketOptionsConfig]]:
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
    """Yields the addresses to listen on that cannot be had on this machine, on whatever port."""
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
