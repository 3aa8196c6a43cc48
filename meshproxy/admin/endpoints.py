"""`/endpoints.json`: the endpoints of a client; `/admin/endpoint` marks one dead or alive."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from meshproxy.admin.pages import (
    JSON,
    Action,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    refuse_method,
    text,
)

PATH: Final = "/endpoints.json"
MARK: Final = "/admin/endpoint"
DEAD_S: Final = 300.0
"""For so long an endpoint is marked dead unless another time is given."""
MAX_DEAD_S: Final = 86400.0


class Markable(Protocol):
    """An endpoint as operators see it."""

    @property
    def name(self) -> str:
        """Its address as `host:port`."""
        ...

    def describe(self) -> dict[str, Any]:
        """Returns its state as JSON has it."""
        ...

    def mark_dead(self, seconds: float) -> None:
        """Sends nothing for *seconds*."""
        ...

    def mark_alive(self) -> None:
        """Sends requests again."""
        ...


Find = Callable[[str, str], Sequence[Markable]]
"""Returns the endpoints of the client with that bound id in the router with that label."""


def endpoints_pages(find: Find) -> Mapping[str, AdminHandler]:
    """Returns both pages; their parameters are `router` and `client`.

    To mark an endpoint takes `address` and `state`, which is `dead` or `alive`, and may take the
    `seconds` that it is dead for.
    """

    def show(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        wanted = request.query.get("router", ""), request.query.get("client", "")
        found = [one.describe() for one in find(*wanted)]
        return text(json.dumps(found, indent=2), content_type=JSON)

    def mark(request: AdminRequest) -> AdminResponse:
        form = request.form()
        names = router, client, address, state = [
            form.get(name, "") for name in ("router", "client", "address", "state")
        ]
        if not all(names) or state not in {"dead", "alive"}:
            return text("A form with router, client, address and state is needed.\n", 400)
        seconds = _seconds(form.get("seconds", ""))
        if seconds is None:
            return text(f"seconds must be a number up to {MAX_DEAD_S:g}.\n", 400)
        wanted = [one for one in find(router, client) if one.name == address]
        for endpoint in wanted:
            if state == "dead":
                endpoint.mark_dead(seconds)
            else:
                endpoint.mark_alive()
        if not wanted:
            return text(f"{client} of router {router} has no endpoint {address}.\n", 404)
        return text(f"{address} is {state}{f' for {seconds:g} s' * (state == 'dead')}\n")

    return {PATH: show, MARK: Action(mark)}


def _seconds(written: str) -> float | None:
    try:
        seconds = float(written or DEAD_S)
    except ValueError:
        seconds = math.nan
    return seconds if 0 < seconds <= MAX_DEAD_S else None
