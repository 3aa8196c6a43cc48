"""The admin server with its pages, and the server that only names requests.

linkerd: admin/src/main/scala/io/buoyant/admin/{Admin,App}.scala
"""

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from math import inf

from meshproxy.admin.browsers import SameOrigin, harden, hardened
from meshproxy.admin.bug_report import PATH as BUG_REPORT
from meshproxy.admin.bug_report import BugReport
from meshproxy.admin.control import control
from meshproxy.admin.delegator import PAGE as DELEGATOR_PAGE
from meshproxy.admin.delegator import delegator_page
from meshproxy.admin.explain import PATH as EXPLAIN
from meshproxy.admin.explain import explain_page
from meshproxy.admin.identify import identify_service
from meshproxy.admin.log_levels import PATH as LOG_LEVELS
from meshproxy.admin.log_levels import log_levels_page
from meshproxy.admin.metrics_json import metrics_json
from meshproxy.admin.pages import (
    HTML,
    Admin,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    Elsewhere,
    shown,
)
from meshproxy.admin.probes import probes
from meshproxy.admin.security import Security
from meshproxy.admin.service import admin_service
from meshproxy.config.schema import AdminConfig, LinkerConfig
from meshproxy.config.shown import to_json
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.errors import ProxyError
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.net.descriptors import ADMIN, allowed
from meshproxy.protocols.protocol import ServedRouter
from meshproxy.server.h1.protocol import Http1
from meshproxy.server.h1.refusals import refuser
from meshproxy.server.listener import ServerParameters
from meshproxy.server.tls import server_context
from meshproxy.service import Service, stack
from meshproxy.telemeters.telemeter import Page, Telemeter

_METRICS = ("/admin/metrics.json", "/admin/metrics", "/metrics.json")
"""Three paths of the same metrics, as in twitter-server."""
_MAX_CONNECTIONS = 1000
_SHARE = 0.1
"""Share of all descriptors that connections to one admin port may use."""
_LIMITS = Limits(idle_seconds=60.0, read_idle=10.0, connect_ports=frozenset())


@dataclass(frozen=True, slots=True)
class Controls:
    """What the pages may ask of the process."""

    shutdown: Callable[[float | None], None]
    reload: Callable[[], str | None] | None
    drain: Callable[..., None]
    uptime: Callable[[], float]
    why_not_ready: Callable[[], str | None]
    refresh: Callable[[], None] | None = None
    """Called before metrics are shown."""
    pages: Mapping[str, AdminHandler] = field(default_factory=dict)
    """Additional pages."""
    elsewhere: Elsewhere | None = None
    """Pages made by other processes."""


def admin_parameters(
    config: LinkerConfig,
    metrics: Tree,
    telemeters: Sequence[Telemeter],
    controls: Controls,
    state: Mapping[str, AdminHandler],
) -> ServerParameters:
    """Returns the parameters of the admin server of *config*, with the additional pages *state*.

    Raises ValueError for TLS files that cannot be used.
    """
    numbers = dict.fromkeys(_METRICS, metrics_json(metrics))
    for telemeter in telemeters:
        numbers |= {path: _for_host(page) for path, page in telemeter.pages().items()}
    if controls.refresh is not None:
        numbers = {path: _after(controls.refresh, page) for path, page in numbers.items()}
    security = _security(config.admin)
    can_set_levels = security.allows(LOG_LEVELS)
    handlers = {
        **numbers,
        **state,
        **controls.pages,
        DELEGATOR_PAGE: delegator_page({one.name: one.dtab for one in config.routers}),
        "/logging": shown(lambda: (HTML, log_levels_page(can_set=can_set_levels).encode())),
        **control(
            configuration=json.dumps(to_json(config, for_people=True), indent=2).encode(),
            shutdown=controls.shutdown,
            reload=controls.reload,
            drain=controls.drain,
            uptime=controls.uptime,
            started_at=time.time() - controls.uptime(),
        ),
        **probes(controls.why_not_ready),
    }
    if (explaining := state.get(EXPLAIN, controls.elsewhere)) is not None:
        handlers[EXPLAIN] = explain_page(explaining, [one.name for one in config.routers])

    def ask(request: AdminRequest) -> AdminResponse:
        return admin(request)

    def paths() -> list[str]:
        return admin.paths()

    handlers[BUG_REPORT] = BugReport(ask, paths)
    admin = Admin(handlers, security, controls.elsewhere)
    for_tools = {path.encode() for path in ("/live", "/ready", "/admin/ping", *numbers)}

    def is_for_tools(request: Request) -> bool:
        is_read = request.method in {b"GET", b"HEAD"}
        return is_read and request.target.partition(b"?")[0] in for_tools

    service = partial(admin_service, admin)
    return _parameters(config.admin, config.admin.port, service, is_for_tools, metrics)


def _for_host(page: Callable[[str], Page]) -> AdminHandler:
    return lambda request: shown(lambda: page(request.host))(request)


def _after(refresh: Callable[[], None], page: AdminHandler) -> AdminHandler:
    def handle(request: AdminRequest) -> AdminResponse:
        refresh()
        return page(request)

    return handle


def identifier_parameters(
    config: AdminConfig, routers: Sequence[ServedRouter], metrics: Tree
) -> ServerParameters:
    """Returns the parameters of the server on `httpIdentifierPort`, which accepts any Host.

    Raises ValueError as above.
    """
    named = {router.config.name: (router.identify, router.config.dtab) for router in routers}
    service = partial(identify_service, named)
    return _parameters(config, config.http_identifier_port or 0, service, lambda _: True, metrics)


def _parameters(
    config: AdminConfig,
    port: int,
    service: Service[Request, Response],
    is_for_tools: Callable[[Request], bool],
    metrics: Tree,
) -> ServerParameters:
    scope = metrics.scope("admin", f"{config.ip}/{port}")
    same_origin = SameOrigin((*config.hosts, *_own_names(config)), is_for_tools)
    answer = refuser(_LIMITS, scope, clear_context=False)

    def answer_hardened(error: ProxyError, request: Request | None) -> Response:
        return hardened(answer(error, request))

    return ServerParameters(
        protocol=Http1(
            stack([harden, ErrorResponder(_LIMITS, scope), same_origin], service),
            _LIMITS,
            answer_hardened,
        ),
        max_connections=min(_MAX_CONNECTIONS, int((allowed() or inf) * _SHARE)),
        metrics=scope,
        context=server_context(config.tls) if config.tls is not None else None,
        options=config.socket_options or SocketOptionsConfig(),
        share=ADMIN,
    )


def _own_names(config: AdminConfig) -> tuple[str, ...]:
    """Returns this machine's name; nothing if only loopback is listened on."""
    return () if ip_address(config.ip).is_loopback else (socket.gethostname(),)


def _security(config: AdminConfig) -> Security:
    chosen = config.security
    if chosen is None:
        return Security()
    return Security(
        ui=chosen.ui_enabled,
        control=chosen.control_enabled,
        diagnostics=chosen.diagnostics_enabled,
        whitelist=chosen.path_whitelist,
        blacklist=chosen.path_blacklist,
    )
