"""Log lines for the operator when everything serves."""

import logging
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from meshproxy.config.schema import LinkerConfig

_log = logging.getLogger(__name__)


def announce(config: LinkerConfig, ports: Mapping[str, Sequence[int]], admin_port: int) -> None:
    """Logs every address, with *ports* by router and server, and what is unsafe."""
    for router in config.routers:
        for server, port in zip(router.servers, ports[router.name], strict=True):
            scheme = "https" if server.tls is not None else "http"
            _log.info("router %s: serving %s://%s:%d", router.name, scheme, server.ip, port)
            if not server.clear_context and not ip_address(server.ip).is_loopback:
                _log.warning(
                    "router %s: any client of %s:%d can override routing with l5d-dtab; "
                    "set clearContext where clients are not trusted",
                    router.name,
                    server.ip,
                    port,
                )
    _log.info("admin: http://%s:%d", config.admin.ip, admin_port)
