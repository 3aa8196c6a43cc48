"""`meshproxy explain CONFIG NAME`: where a name or a request goes, and why."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path as File
from typing import Any
from urllib.parse import urlencode

from urllib3.exceptions import HTTPError

from meshproxy.admin.asked import asked_request
from meshproxy.admin.explain import MAX_WAIT_S, PATH
from meshproxy.admin.explained import lines_of, summary
from meshproxy.admin.pages import AdminRequest
from meshproxy.cli import explain_all
from meshproxy.cli.asking import ask, cause_of
from meshproxy.cli.configuration import run_with
from meshproxy.cli.printable import printable
from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import Loaded
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.process_log import log_to_stderr

Found = Mapping[str, Any]
Explain = Callable[[str], Found]
"""Explains a name, or the request of the command line if it is empty. Raises ValueError."""


def run(given: Namespace) -> int:
    """Prints it; 0 if it is bound to an endpoint, 1 if not, 2 if the command line is wrong."""
    log_to_stderr("error", "text")
    config, names = _operands(given)
    if (wrong := _wrong(given, config, names)) is not None:
        print(f"meshproxy: {wrong}", file=sys.stderr)
        return 2
    if given.admin is not None:
        return _run(given, names, _at_admin(given), _known_at(given.admin))
    return run_with(
        config, lambda loaded: _run(given, names, of_file(loaded, given), _known_in(loaded, given))
    )


def _operands(given: Namespace) -> tuple[str, list[str]]:
    """Returns the file, "" without one, and the names; a running proxy needs no file."""
    words = [*([] if given.config is None else [given.config]), *given.name]
    if given.admin is not None and not (words and (words[0] == "-" or File(words[0]).is_file())):
        return "", words
    return (words[0], words[1:]) if words else ("", [])


def _wrong(given: Namespace, config: str, names: Sequence[str]) -> str | None:
    if given.admin is None and not config:
        return "explain needs a CONFIG, or --admin"
    if given.request is not None:
        try:
            asked_request(given.request, given.header or ())
        except ValueError as error:
            return str(error)
    if given.all is not None:
        return None if given.request is None else "--all is about names, not about --request"
    if not names and given.request is None:
        return "explain needs a NAME, such as /svc/web, or --request"
    return "explain takes one NAME, unless with --all" if len(names) > 1 else None


def _run(given: Namespace, names: Sequence[str], explain: Explain, known: Callable[[], Any]) -> int:
    try:
        if given.all is None:
            return _print(explain(names[0] if names else ""), given)
        return _compare(given, names or known(), explain)
    except (HTTPError, ValueError, KeyError, TypeError) as error:
        print(f"meshproxy: {printable(str(error))}", file=sys.stderr)
        return 1


def _compare(given: Namespace, names: Sequence[str], explain: Explain) -> int:
    return run_with(
        given.all,
        lambda loaded: explain_all.run(names, explain, of_file(loaded, given), as_json=given.json),
    )


def _query(given: Namespace, name: str) -> dict[str, str]:
    asked = {
        "router": given.router,
        "path": name,
        "dtab": given.dtab,
        "request": given.request,
        "header": "\n".join(given.header or ()),
        "wait": f"{MAX_WAIT_S:g}",
    }
    return {key: value for key, value in asked.items() if value}


def of_file(loaded: Loaded, given: Namespace) -> Explain:
    """Returns what asks the namers of *loaded* itself, without listening anywhere."""
    if loaded.missing:
        raise ConfigErrors(loaded.missing)
    linker = Linker(loaded.config)

    def explain(name: str) -> Found:
        answer = linker.answer(AdminRequest("GET", PATH, _query(given, name)))
        if answer.status != 200:
            raise ValueError(answer.body.decode().strip())
        found: Found = json.loads(answer.body)
        return found

    return explain


def _at_admin(given: Namespace) -> Explain:
    base = given.admin.rstrip("/")

    def explain(name: str) -> Found:
        url = f"{base}{PATH}?{urlencode({**_query(given, name), 'format': 'json'})}"
        try:
            found: Found = ask(url)
        except (HTTPError, ValueError) as error:
            raise ValueError(f"{base}: {cause_of(error)}") from error
        if not isinstance(found, dict) or "bound" not in found:
            raise ValueError(f"{base}: this is not an explanation of meshproxy's")
        return found

    return explain


def _known_at(admin: str | None) -> Callable[[], list[str]]:
    """Returns what lists the names that the running proxy at *admin* has served."""

    def known() -> list[str]:
        routers = ask(f"{str(admin).rstrip('/')}/overview.json?limit=100000")["routers"]
        return [row["name"] for one in routers for row in one["services"]["rows"]]

    return known


def _known_in(loaded: Loaded, given: Namespace) -> Callable[[], list[str]]:
    return lambda: explain_all.names_of(loaded.config, given.router)


def _print(found: Found, given: Namespace) -> int:
    if given.json:
        print(json.dumps(found, indent=2))
        return 0 if found["bound"] else 1
    for number, (heading, lines) in enumerate(lines_of(found)):
        if heading != "Steps":
            print(("\n" if number else "") + f"{printable(heading)}:")
        indent = "" if heading == "Steps" else "  "
        for line in lines:
            print(indent + printable(line))
    print(printable(summary(found)))
    return 0 if found["bound"] else 1
