"""The admin pages about the state of this process: what it knows, and what it waits for.

Each worker has them, and its supervisor asks for them.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from meshproxy.admin.client_state import ClientAddr, client_state
from meshproxy.admin.delegator import PATH as DELEGATOR
from meshproxy.admin.delegator import Delegator, delegator_json
from meshproxy.admin.discovery import PATH as DISCOVERY
from meshproxy.admin.discovery import discovery_json, problems, rows
from meshproxy.admin.endpoints import endpoints_pages
from meshproxy.admin.events import PATH as EVENTS
from meshproxy.admin.events import events_json
from meshproxy.admin.explain import PATH as EXPLAIN
from meshproxy.admin.explain import explain_json
from meshproxy.admin.explanation import Explainable
from meshproxy.admin.log_levels import PATH as LOG_LEVELS
from meshproxy.admin.log_levels import log_levels
from meshproxy.admin.pages import JSON, TEXT, AdminHandler, shown
from meshproxy.admin.threads import threads
from meshproxy.client.endpoint import Endpoint
from meshproxy.naming.namer import Explainer, Interpreter
from meshproxy.naming.path import Path
from meshproxy.net.slices import Slices
from meshproxy.protocols.protocol import ServedRouter
from meshproxy.router.client import Client
from meshproxy.router.router import Router
from meshproxy.runtime.naming import Naming
from meshproxy.timeline import timeline

CLIENT_STATE: Final = "/client_state.json"
BOUND_NAMES: Final = "/bound-names.json"
THREADS: Final = "/admin/threads"


threads_page: Final = shown(lambda: (TEXT, threads().encode()))


def state_pages(naming: Naming, routers: Sequence[ServedRouter]) -> Mapping[str, AdminHandler]:
    """Returns the pages by path."""

    def clients() -> dict[str, Any]:
        return client_state(
            ClientAddr(
                client.id,
                client.addr,
                {one.name: one.connection_counts for one in client.endpoints()},
            )
            for router in routers
            for client in router.clients()
        )

    def names() -> list[str]:
        listed = {name.show() for namer in naming.enumerating for name in namer.names()}
        in_use = (_of_namer(client.id) for router in routers for client in router.clients())
        return sorted(listed | {name.show() for name in in_use if name})

    def endpoints(label: str, bound_id: str) -> Sequence[Endpoint]:
        for router in routers:
            for client in router.clients():
                if (router.config.name, client.id.show()) == (label, bound_id):
                    return client.endpoints()
        return ()

    def failing() -> list[str]:
        return problems(rows(naming.following, Slices(), only_failing=True), time.time())

    interpreters = list(zip(routers, naming.interpreters, strict=True))
    delegators = {
        router.config.name: Delegator(
            router.config.dtab, one.delegate if isinstance(one, Explainer) else None
        )
        for router, one in interpreters
    }
    return {
        DELEGATOR: delegator_json(delegators),
        EXPLAIN: explain_json(
            {one.config.name: _explainable(one, by, failing) for one, by in interpreters}
        ),
        **endpoints_pages(endpoints),
        DISCOVERY: discovery_json(naming.following),
        EVENTS: events_json(timeline),
        **{path: _json(described.describe) for path, described in naming.states.items()},
        CLIENT_STATE: _json(clients),
        BOUND_NAMES: _json(names),
        LOG_LEVELS: log_levels,
        THREADS: threads_page,
    }


def _explainable(
    router: ServedRouter, interpreter: Interpreter, failing: Callable[[], list[str]]
) -> Explainable | None:
    if not isinstance(interpreter, Explainer):
        return None
    gate = router.gate if isinstance(router, Router) else None

    def clients() -> Sequence[Client]:  # looked up late: a plugin may have none
        return router.clients()

    return Explainable(router.config, router.identify, interpreter.delegate, gate, clients, failing)


def _of_namer(bound_id: Path) -> Path:
    """Returns the part of *bound_id* that a configured namer knows, without any transformer's."""
    return bound_id.drop(bound_id.index(b"#")) if b"#" in bound_id else Path()


def _json(value: Callable[[], Any]) -> AdminHandler:
    return shown(partial(_dumped, value))


def _dumped(value: Callable[[], Any]) -> tuple[str, bytes]:
    return JSON, json.dumps(value(), indent=2).encode()
