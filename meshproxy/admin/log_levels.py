"""The levels of the process's loggers, which can be changed while it runs.

linkerd: admin/src/main/scala/io/buoyant/admin/LoggingHandler.scala
"""

import json
import logging
from html import escape
from typing import Final

from meshproxy.admin.document import document
from meshproxy.admin.pages import (
    JSON,
    AdminRequest,
    AdminResponse,
    refuse_method,
    text,
)
from meshproxy.timeline import Kind, timeline

PATH: Final = "/logging.json"
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_ROOT: Final = "root"


def levels() -> dict[str, str]:
    """Returns the level of each logger by name, its own or the inherited one."""
    found = {_ROOT: logging.getLogger()} | _loggers()
    return {
        name: logging.getLevelName(logger.getEffectiveLevel())
        for name, logger in sorted(found.items())
    }


def log_levels(request: AdminRequest) -> AdminResponse:
    """Lists the levels; a POST with `logger` and `level` sets one, and is 400 without either.

    As in Linkerd, an unknown logger or level changes nothing and is not an error.
    """
    if request.method == "GET":
        shown = [{"logger": name, "level": level} for name, level in levels().items()]
        return text(json.dumps(shown, indent=2), content_type=JSON)
    if request.method != "POST":
        return refuse_method("GET", "HEAD", "POST")
    form = request.form()
    name, level = form.get("logger"), form.get("level")
    if not name or not level:
        return text("A form with `logger` and `level` is needed.\n", 400)
    changed = _set(name, level.upper())
    if form.get("from") == "page":
        return AdminResponse(b"", status=303, headers=(("Location", "logging"),))
    return text(changed)


def log_levels_page(*, can_set: bool) -> str:
    """Returns the page with the level of each logger, in a form if one *can set* it."""
    rows = "\n".join(
        f"<tr><td>{escape(name)}</td><td>{_form(name, level) if can_set else level}</td></tr>"
        for name, level in levels().items()
    )
    return document(
        "Log levels", f"<table>\n<tr><th>Logger</th><th>Level</th></tr>\n{rows}</table>"
    )


def _loggers() -> dict[str, logging.Logger]:
    known = logging.getLogger().manager.loggerDict
    return {name: one for name, one in known.items() if isinstance(one, logging.Logger)}


def _set(name: str, level: str) -> str:
    """Sets the level and returns a message; unknown names create no loggers."""
    logger = logging.getLogger() if name == _ROOT else _loggers().get(name)
    if logger is None:
        return f"nothing changed, there is no logger {name}\n"
    if level not in LEVELS:
        return f"nothing changed, {level} is none of {', '.join(LEVELS)}\n"
    logger.setLevel(level)
    timeline.note(Kind.OPERATOR, f"logger {name}", f"logs from {level} on")
    return f"{name} logs from {level} on\n"


def _form(name: str, level: str) -> str:
    shown = escape(name)
    options = "".join(
        f"<option{' selected' if one == level else ''}>{one}</option>" for one in LEVELS
    )
    return (
        f'<form method="post" action="{PATH[1:]}">'
        '<input type="hidden" name="from" value="page">'
        f'<input type="hidden" name="logger" value="{shown}">'
        f'<select name="level" aria-label="Level of {shown}">{options}</select> '
        "<button>Set</button></form>"
    )
