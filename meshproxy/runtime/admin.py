"""The admin server and its pages, and the server that only names requests.

linkerd: admin/src/main/scala/io/buoyant/admin/{Admin,App}.scala
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from meshproxy.admin.control import control
from meshproxy.admin.identify import identify_service
from meshproxy.admin.metrics_json import metrics_json
from meshproxy.admin.pages import Admin, AdminHandler, AdminRequest, AdminResponse, shown
from meshproxy.admin.security import Security
from meshproxy.admin.service import admin_service
from meshproxy.config.schema import AdminConfig, LinkerConfig
from meshproxy.config.shown import to_json
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.router.router import Router
from meshproxy.runtime.answers import answerer
from meshproxy.server.listener import Listener
from meshproxy.server.tls import server_context
from meshproxy.service import Service, stack
from meshproxy.telemeters.telemeter import Telemeter

_MAX_CONNECTIONS = 1000


def admin_listener(
    config: LinkerConfig,
    metrics: Tree,
    telemeters: Sequence[Telemeter],
    shutdown: Callable[[float | None], None],
    uptime: Callable[[], float],
    refresh: Callable[[], None] | None = None,
    pages: Mapping[str, AdminHandler] = MappingProxyType({}),
) -> Listener:
    """The admin server of *config*, with more *pages*. Raises OSError without its address.

    *refresh* is called before anything that *telemeters* or the metrics show.
    """
    reports: dict[str, AdminHandler] = {"/admin/metrics.json": metrics_json(metrics)}
    for telemeter in telemeters:
        reports |= {path: shown(page) for path, page in telemeter.pages().items()}
    if refresh is not None:
        reports = {path: _after(refresh, handler) for path, handler in reports.items()}
    handlers = {
        **reports,
        **pages,
        **control(
            configuration=json.dumps(to_json(config), indent=2).encode(),
            shutdown=shutdown,
            uptime=uptime,
            started_at=time.time() - uptime(),
        ),
    }
    admin = Admin(handlers, _security(config.admin))
    return _listener(config.admin, config.admin.port, partial(admin_service, admin), metrics)


def _after(refresh: Callable[[], None], handler: AdminHandler) -> AdminHandler:
    def handle(request: AdminRequest) -> AdminResponse:
        refresh()
        return handler(request)

    return handle


def identifier_listener(
    config: AdminConfig, routers: Sequence[Router], metrics: Tree
) -> Listener | None:
    """The server on `httpIdentifierPort`, if there is one. Raises OSError as above."""
    if config.http_identifier_port is None:
        return None
    named = {router.label: (router.identify, router.config.dtab) for router in routers}
    service = partial(identify_service, named)
    return _listener(config, config.http_identifier_port, service, metrics)


def _listener(
    config: AdminConfig, port: int, service: Service[Request, Response], metrics: Tree
) -> Listener:
    scope = metrics.scope("admin", f"{config.ip}/{port}")
    limits = Limits()
    return Listener(
        (config.ip, port),
        stack([ErrorResponder(limits, scope)], service),
        answerer(limits, scope, clear_context=False),
        limits,
        _MAX_CONNECTIONS,
        scope,
        server_context(config.tls) if config.tls is not None else None,
        config.socket_options,
    )


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
