"""The limits that a configuration stands for; 0 switches one off."""

import math
from dataclasses import replace

from meshproxy.config.routers import HttpRouterConfig
from meshproxy.config.servers import HttpServerConfig
from meshproxy.config.sockets import SessionConfig, SocketOptionsConfig
from meshproxy.http.limits import Limits

_UNLIMITED_BYTES = 2**31


def limits_of(router: HttpRouterConfig, server: HttpServerConfig | None = None) -> Limits:
    """The limits of a router's messages, on one of its servers if that is given."""
    limits = Limits(
        first_line=router.max_initial_line_kb * 1024 or _UNLIMITED_BYTES,
        header_bytes=router.max_headers_kb * 1024 or _UNLIMITED_BYTES,
        header_count=router.max_header_count or _UNLIMITED_BYTES,
        body_bytes=(router.max_request_body_kb or 0) * 1024 or math.inf,
        replay_bytes=router.stream_after_content_length_kb * 1024,
        error_bytes=router.max_err_response_kb * 1024 or _UNLIMITED_BYTES,
    )
    if server is None:
        return limits
    session = server.server_session or SessionConfig()
    socket = server.socket_options or SocketOptionsConfig()
    return replace(
        limits,
        head_seconds=_seconds(server.header_read_timeout_ms, limits.head_seconds),
        idle_seconds=_seconds(session.idle_time_ms, limits.idle_seconds),
        life_seconds=_seconds(session.life_time_ms, limits.life_seconds),
        read_gap=_seconds(socket.read_timeout_ms, limits.read_gap),
        write_gap=_seconds(socket.write_timeout_ms, limits.write_gap),
        connect_ports=frozenset(map(int, server.connect_ports)),
    )


def _seconds(milliseconds: int | None, default: float) -> float:
    return default if milliseconds is None else milliseconds / 1000 or math.inf
