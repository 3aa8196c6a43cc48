"""The limits that a configuration stands for; 0 switches one off."""

import math

from meshproxy.config.routers import HttpRouterConfig
from meshproxy.config.servers import HttpServerConfig
from meshproxy.http.limits import Limits

_UNLIMITED_BYTES = 2**31
_DEFAULTS = Limits()


def limits_of(router: HttpRouterConfig, server: HttpServerConfig | None = None) -> Limits:
    """The limits of a router's messages, on one of its servers if that is given."""
    head_seconds, connect_ports = _DEFAULTS.head_seconds, _DEFAULTS.connect_ports
    if server is not None:
        head_seconds = server.header_read_timeout_ms / 1000 or math.inf
        connect_ports = frozenset(map(int, server.connect_ports))
    return Limits(
        first_line=router.max_initial_line_kb * 1024 or _UNLIMITED_BYTES,
        header_bytes=router.max_headers_kb * 1024 or _UNLIMITED_BYTES,
        header_count=router.max_header_count or _UNLIMITED_BYTES,
        body_bytes=(router.max_request_body_kb or 0) * 1024 or math.inf,
        replay_bytes=router.stream_after_content_length_kb * 1024,
        error_bytes=router.max_err_response_kb * 1024 or _UNLIMITED_BYTES,
        head_seconds=head_seconds,
        connect_ports=connect_ports,
    )
