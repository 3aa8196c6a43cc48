"""Pages about the process itself: ping, shutdown, reload, its configuration and its build.

(twitter-server: ShutdownHandler, ServerInfoHandler; linkerd: admin/.../ConfigHandler.scala)
"""

import json
import platform
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from meshproxy import __version__
from meshproxy.admin.pages import (
    JSON,
    TEXT,
    Action,
    AdminHandler,
    AdminRequest,
    AdminResponse,
    shown,
    text,
)

_UNITS: Final = {
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
}
_DURATION: Final = re.compile(r"(\d{1,15})\.([a-z]+?)s?")


def control(
    *,
    configuration: bytes,
    shutdown: Callable[[float | None], None],
    reload: Callable[[], str | None] | None,
    drain: Callable[..., None],
    uptime: Callable[[], float],
    started_at: float,
) -> Mapping[str, AdminHandler]:
    """Returns ping, shutdown, drain, reload and server_info of `/admin`, and `/config.json`.

    Args:
        configuration: the parsed configuration as JSON.
        shutdown: begins to close the process within the given seconds, or the configured grace
            period if None; it returns at once, so that the response can be sent.
        reload: serves the present configuration, or returns everything that is wrong with it;
            without it there is no such page.
        drain: takes the process out of rotation if its argument `on` is true, else back.
        uptime: returns the seconds since the start.
        started_at: the time of the start in seconds since 1970.
    """
    return {
        **({"/admin/reload": _reloading(reload)} if reload is not None else {}),
        "/admin/ping": shown(lambda: (TEXT, b"pong")),
        "/admin/shutdown": _closing(shutdown),
        "/admin/drain": _draining(drain),
        "/admin/server_info": shown(lambda: (JSON, _server_info(uptime(), started_at))),
        "/config.json": shown(lambda: (JSON, configuration)),
    }


def duration(written: str) -> float:
    """Returns the seconds of a duration such as `10.seconds` or `1.minute+30.seconds`.

    Raises ValueError for anything else.
    """
    total = 0.0
    for part in written.replace(" ", "+").split("+"):
        found = _DURATION.fullmatch(part)
        if found is None or found[2] not in _UNITS:
            raise ValueError(f"{written!r} is not a duration such as 10.seconds")
        total += int(found[1]) * _UNITS[found[2]]
    return total


def _closing(shutdown: Callable[[float | None], None]) -> AdminHandler:
    def handle(request: AdminRequest) -> AdminResponse:
        written = request.query.get("grace")
        try:
            grace_s = None if written is None else duration(written)
        except ValueError as error:
            return text(f"{error}\n", 400)
        shutdown(grace_s)
        return text("quitting\n")

    return Action(handle)


def _draining(drain: Callable[..., None]) -> AdminHandler:
    def handle(request: AdminRequest) -> AdminResponse:
        is_over = request.form().get("undo", "").lower() in ("true", "t", "1")
        drain(on=not is_over)
        return text("no longer draining\n" if is_over else "draining\n")

    return Action(handle)


def _reloading(reload: Callable[[], str | None]) -> AdminHandler:
    def handle(_: AdminRequest) -> AdminResponse:
        wrong = reload()
        return text("reloaded\n") if wrong is None else text(f"{wrong}\n", 400)

    return Action(handle)


def _server_info(uptime_s: float, started_at: float) -> bytes:
    facts = {
        "name": "meshproxy",
        "version": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "start_time": datetime.fromtimestamp(started_at, UTC).isoformat(timespec="seconds"),
        "uptime": round(uptime_s * 1000),
    }
    return json.dumps(facts, indent=2).encode()
