"""Checks between the parts of a file, as in linkerd: linkerd/core/.../Linker.scala."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from meshproxy.config.errors import Findings, Severity
from meshproxy.config.nodes import Mapping, Node, Sequence, locate
from meshproxy.config.schema import LinkerConfig
from meshproxy.config.sockets import SocketOptionsConfig


def foreign(root: Node) -> str | None:
    """Returns which other program's file this is, or None."""
    if not isinstance(root, Mapping):
        return None
    if "interfaces" in root.items or "storage" in root.items:
        return "a file of Namerd, which is not supported; give Linkerd's own, with routers"
    routers = root.items.get("routers")
    items = routers.items if isinstance(routers, Sequence) else []
    if any(_is_linkerd_tcp(item) for item in items):
        return "a file of linkerd-tcp, which is not supported; give Linkerd's own"
    return None


def _is_linkerd_tcp(router: Node) -> bool:
    if not isinstance(router, Mapping) or "protocol" in router.items:
        return False
    servers = router.items.get("servers")
    items = servers.items if isinstance(servers, Sequence) else []
    return any(isinstance(item, Mapping) and "dstName" in item.items for item in items)


def validate(config: LinkerConfig, root: Node, findings: Findings) -> None:
    """Adds the problems between the parts of *config* to *findings*."""
    if not config.routers:
        what = "At least one router must be specified in the configuration."
        findings.add(locate(root, "routers"), "routers", what)
    _labels(config, root, findings)
    _addresses(config, root, findings)


def _labels(config: LinkerConfig, root: Node, findings: Findings) -> None:
    seen: dict[str, int] = {}
    for index, router in enumerate(config.routers):
        path = f"routers[{index}].label"
        if router.name in seen:
            first = f"routers[{seen[router.name]}]"
            what = f"Multiple routers with the label {router.name}, {first} too: rename one"
            findings.add(locate(root, path), path, what)
        seen.setdefault(router.name, index)


class _Listener(NamedTuple):
    """An address to listen on, and the path of its port in the file."""

    ip: IPv4Address | IPv6Address
    port: int
    owner: str
    path: str
    shares: bool
    """True if it has SO_REUSEPORT."""


def _addresses(config: LinkerConfig, root: Node, findings: Findings) -> None:
    """Reports listeners with the same address; `::` may or may not include IPv4."""
    taken: list[_Listener] = []
    for one in _listeners(config):
        for other in taken:
            severity = _conflict(one, other)
            if severity is not None:
                what = f"Server conflict on port {one.port}, {other.owner} listens there too"
                findings.add(locate(root, one.path), one.path, f"{what}: change one", severity)
        taken.append(one)


def _listeners(config: LinkerConfig) -> Iterator[_Listener]:
    admin = config.admin
    own_ip, shares = _address(admin.ip), _shares(config, admin.socket_options)
    yield _Listener(own_ip, admin.port, "admin", "admin.port", shares)
    if admin.http_identifier_port is not None:
        path = "admin.httpIdentifierPort"
        yield _Listener(own_ip, admin.http_identifier_port, path, path, shares)
    for index, router in enumerate(config.routers):
        for number, server in enumerate(router.servers):
            owner = f"routers[{index}].servers[{number}]"
            ip, shares = _address(server.ip), _shares(config, server.socket_options)
            yield _Listener(ip, server.port, owner, f"{owner}.port", shares)


def _address(text: str) -> IPv4Address | IPv6Address:
    ip = ip_address(text)
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return ip if mapped is None else mapped


def _shares(config: LinkerConfig, options: SocketOptionsConfig | None) -> bool:
    """Returns True for SO_REUSEPORT; workers' sockets do not count, one supervisor holds them."""
    return options is not None and options.reuse_port and config.workers is None


def _conflict(one: _Listener, other: _Listener) -> Severity | None:
    if one.port != other.port or not one.port:
        return None
    if one.ip == other.ip:
        return Severity.ERROR
    if not (one.ip.is_unspecified or other.ip.is_unspecified) or (one.shares and other.shares):
        return None
    return Severity.ERROR if one.ip.version == other.ip.version else Severity.WARNING
