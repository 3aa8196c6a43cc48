"""The admin pages about the state of this process: what it knows, and what it waits for.

Each worker has them, and its supervisor asks for them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from meshproxy.admin.client_state import ClientAddr, client_state
from meshproxy.admin.delegator import PATH as DELEGATOR
from meshproxy.admin.delegator import Delegator, delegator_json
from meshproxy.admin.log_levels import PATH as LOG_LEVELS
from meshproxy.admin.log_levels import log_levels
from meshproxy.admin.pages import (
    JSON,
    TEXT,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    refuse_method,
    shown,
    text,
)
from meshproxy.admin.threads import threads
from meshproxy.naming.namer import Explainer
from meshproxy.protocols.protocol import ServedRouter
from meshproxy.runtime.naming import Naming

CLIENT_STATE: Final = "/client_state.json"
BOUND_NAMES: Final = "/bound-names.json"
ENDPOINTS: Final = "/endpoints.json"
THREADS: Final = "/admin/threads"


threads_page: Final = shown(lambda: (TEXT, threads().encode()))


def state_pages(naming: Naming, routers: Sequence[ServedRouter]) -> Mapping[str, AdminHandler]:
    """Returns the pages by path."""

    def clients() -> dict[str, Any]:
        return client_state(
            ClientAddr(client.id, client.addr) for router in routers for client in router.clients()
        )

    def names() -> list[str]:
        return sorted({name.show() for namer in naming.enumerating for name in namer.names()})

    def endpoints(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        wanted = request.query.get("router"), request.query.get("client")
        for router in routers:
            for client in router.clients():
                if (router.config.name, client.id.show()) == wanted:
                    found = [one.describe() for one in client.endpoints()]
                    return text(json.dumps(found, indent=2), content_type=JSON)
        return text("[]", content_type=JSON)

    interpreters = zip(routers, naming.interpreters, strict=True)
    delegators = {
        router.config.name: Delegator(
            router.config.dtab, one.delegate if isinstance(one, Explainer) else None
        )
        for router, one in interpreters
    }
    return {
        DELEGATOR: delegator_json(delegators),
        ENDPOINTS: endpoints,
        **{path: _json(described.describe) for path, described in naming.states.items()},
        CLIENT_STATE: _json(clients),
        BOUND_NAMES: _json(names),
        LOG_LEVELS: log_levels,
        THREADS: threads_page,
    }


def _json(value: Callable[[], Any]) -> AdminHandler:
    return shown(partial(_dumped, value))


def _dumped(value: Callable[[], Any]) -> tuple[str, bytes]:
    return JSON, json.dumps(value(), indent=2).encode()
