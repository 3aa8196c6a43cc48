"""HTTP/2 to servers that are no endpoints of a router, such as namerd's mesh interface."""

import math
from collections.abc import Callable
from dataclasses import replace

from meshproxy.client.connector import H2
from meshproxy.client.h2.sessions import EndpointSessions
from meshproxy.client.tls import present_context
from meshproxy.client.transport import ConnectStats, Transport
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.h2.settings import KeepAlive, LocalSettings
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.router.policy import client_tls_settings

_CONNECT_SECONDS = 5.0
_LIMITS = Limits(first_byte=math.inf, response_idle=math.inf)
"""Callers have their own deadlines, and streams may be silent for long."""


def http2_to(
    metrics: Tree, tls: ClientTlsConfig | None, settings: LocalSettings, pings: KeepAlive
) -> Callable[[Address], EndpointSessions]:
    """Returns what reaches servers, plain without *tls*; connecting is counted in *metrics*.

    Raises `TlsFailed` if the files of *tls* cannot be used.
    """
    found, name = client_tls_settings(tls)
    if found is not None:
        found = replace(found, alpn=(H2,))
        present_context(found)
    transport = Transport(_LIMITS, _CONNECT_SECONDS, found, name, h2=settings, pings=pings)
    stats = ConnectStats(metrics)

    return lambda address: EndpointSessions(address, transport, stats)
