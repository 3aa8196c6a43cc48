"""House rules no compiler keeps: who may import what, and how long a file may be."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "meshproxy").rglob("*.py"))
MAX_LINES = 300
LONGER = {
    "interpreters/walk.py": "one recursion over the delegation of a name",
    "net/h2/inbound.py": "one body: its pieces, its reader and its coupling share their state",
    "net/stream.py": "one socket: its watcher, waits, sends and ends share their state",
}
"""Files that are one concept and as long as most may be, or longer, and why."""
NEARLY = 20
"""Lines below the cap from which on a file may be among them."""
FLOORS = {
    8: {"cli", "__main__"},
    7: {"runtime"},
    6: {"protocols"},
    5: {"server", "admin", "telemeters"},
    4: {"router", "lint"},
    3: {
        "namers", "transformers", "interpreters", "balancers", "accrual",
        "announcers", "classifiers", "identifiers", "filters", "client",
    },
    2: {"config", "discovery", "net", "recent"},
    1: {"naming", "http", "h2", "metrics", "egress"},
    0: {
        "__init__", "errors", "wording", "log_once", "var", "service", "backoff", "ewma", "budget",
        "timeline",
    },
}  # fmt: skip
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
COOPERATIVE = {"net", "discovery", "client", *FLOORS[5], *FLOORS[7], *FLOORS[8]}
"""The rooms that may know they run on gevent."""
GUARDS = {
    "config/decode.py",
    "discovery/dns_name.py",
    "discovery/k8s/watch.py",
    "discovery/watching/watch.py",
    "discovery/zookeeper/session.py",
    "filters/error_responder.py",
    "server/h2/workers.py",
    "telemeters/statsd.py",
    "var.py",
}
"""Files that go on after an exception of any kind: others wait there, or code is a plugin's."""
WIRED = {"socket", "ssl", "select", "selectors", "socketserver", "asyncio", "subprocess"}
"""Standard modules that mean IO, which floors 0 and 1 do without."""


def room(file: Path) -> str:
    """Name the package, or the single file, under meshproxy/ that *file* belongs to."""
    return file.relative_to(ROOT / "meshproxy").parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of every import, those inside functions too."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module="meshproxy", names=names):
                yield from ((node.lineno, f"meshproxy.{alias.name}") for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield node.lineno, module
            case ast.ImportFrom():
                yield node.lineno, "a relative import"


def breach(importer: str, imported: str) -> str | None:
    """Say what forbids room *importer* to import the dotted name *imported*, or None."""
    top, _, rest = imported.partition(".")
    floor = FLOOR[importer]
    if top == "meshproxy":
        return climb(importer, rest.partition(".")[0])
    if floor <= 1 and (top in WIRED or top not in sys.stdlib_module_names):
        return f"floor {floor} uses the standard library alone and does no IO: {top}"
    if top == "gevent" and importer not in COOPERATIVE:
        return f"{importer} may not know gevent"
    return None


def climb(importer: str, other: str) -> str | None:
    """Say why room *importer* may not import room *other* of ours, or None."""
    if other == importer or other.startswith("__version"):
        return None
    if other not in FLOOR:
        return f"{other} stands on no floor"
    sideways = (
        FLOOR[importer] == 0
        or importer == "__main__"
        or (FLOOR[importer] == 1 and other == "naming")
        or (importer, other) == ("h2", "http")
    )
    if FLOOR[other] < FLOOR[importer] or (FLOOR[other] == FLOOR[importer] and sideways):
        return None
    return f"{importer} (floor {FLOOR[importer]}) may not import {other} (floor {FLOOR[other]})"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_go_down(file: Path) -> None:
    assert room(file) in FLOOR, f"{room(file)} stands on no floor"
    breaches = [
        f"{file.relative_to(ROOT)}:{line}: {why}"
        for line, name in imports(file)
        if (why := breach(room(file), name))
    ]
    assert breaches == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("naming", "meshproxy.config.load"),
        ("naming", "meshproxy.http.headers"),
        ("naming", "gevent.event"),
        ("metrics", "socket"),
        ("filters", "gevent"),
        ("filters", "meshproxy.client.h1.pool"),
        ("router", "meshproxy.server.listener"),
    ],
)
def test_a_breach_is_seen(importer: str, imported: str) -> None:
    assert breach(importer, imported) is not None


def swallows(file: Path) -> bool:
    """Tell whether *file* catches every exception somewhere and does not raise it again."""
    return any(
        isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        for node in ast.walk(ast.parse(file.read_text()))
    )


def test_exceptions_of_any_kind_are_swallowed_where_somebody_waits_and_nowhere_else() -> None:
    found = {str(file.relative_to(ROOT / "meshproxy")) for file in SOURCES if swallows(file)}
    assert found == GUARDS


def test_a_file_longer_than_the_cap_has_a_reason() -> None:
    lines = {
        str(file.relative_to(ROOT / "meshproxy")): len(file.read_text().splitlines())
        for file in SOURCES
    }
    assert {file for file, count in lines.items() if count > MAX_LINES} <= LONGER.keys()
    assert [file for file in LONGER if lines[file] <= MAX_LINES - NEARLY] == []
