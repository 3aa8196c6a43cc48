"""Checks between the parts of a file, as linkerd: linkerd/core/.../Linker.scala makes at start."""

import ipaddress

from meshproxy.config.errors import Findings, Severity
from meshproxy.config.nodes import Mapping, Node, Sequence, locate
from meshproxy.config.schema import LinkerConfig


def foreign(root: Node) -> str | None:
    """Which other program's file this is, or None."""
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
    """Add what is wrong between the parts of *config* to *findings*."""
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


def _addresses(config: LinkerConfig, root: Node, findings: Findings) -> None:
    """Two servers cannot listen on one address; other overlaps fail only when they are bound."""
    taken = [(str(config.admin.ip), int(config.admin.port), "admin")]
    for index, router in enumerate(config.routers):
        for number, server in enumerate(router.servers):
            path = f"routers[{index}].servers[{number}]"
            for ip, port, owner in taken:
                if port != server.port or port == 0:
                    continue
                mark = locate(root, f"{path}.port")
                what = f"Server conflict on port {port}, {owner} listens there too: change one"
                if owner != "admin" and ip == server.ip:
                    findings.add(mark, f"{path}.port", what)
                elif _overlap(ip, server.ip):
                    findings.add(mark, f"{path}.port", what, Severity.WARNING)
            taken.append((str(server.ip), int(server.port), path))


def _overlap(one: str, other: str) -> bool:
    return one == other or any(ipaddress.ip_address(ip).is_unspecified for ip in (one, other))
