"""What docs/architecture.md and the tables in the code say of the whole is true of the code."""

import ast
import re
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path

import meshproxy
from meshproxy.http.message import Request
from tests.test_floors import ROOT, SOURCES, imports, room

SOCKETS = {"client", "discovery", "net", "runtime", "server", "telemeters"}
"""Rooms that open sockets, or are handed them by their parent process."""
WIRE = {"authority", "chunked", "framing", "head", "headers", "hop", "target", "via"}
"""Modules of http/ that are HTTP/1 on the wire; fields and authorities are every protocol's too."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield each source file's path below meshproxy/, and its syntax tree."""
    for file in SOURCES:
        yield str(file.relative_to(ROOT / "meshproxy")), ast.parse(file.read_text())


def test_sockets_are_opened_only_in_their_rooms() -> None:
    found = {
        room(file)
        for file in SOURCES
        for _, name in imports(file)
        if name in {"socket", "gevent.socket"} or (name == "gevent" and _takes_socket(file))
    }
    assert found == SOCKETS


def _takes_socket(file: Path) -> bool:
    return bool(re.search(r"^from gevent import .*\bsocket\b", file.read_text(), re.MULTILINE))


def test_server_and_client_know_http_1_only_in_their_rooms_for_it() -> None:
    breaches = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in SOURCES
        if room(path) in {"server", "client"}
        and "h1" not in path.parts
        and path.name != "negotiated.py"
        for line, name in imports(path)
        if name.startswith(("meshproxy.server.h1", "meshproxy.client.h1"))
        or name.removeprefix("meshproxy.http.") in WIRE - {"authority", "headers"}
    ]
    assert breaches == []


LINES = {
    "http/headers.py": "writes the lines of fields",
    "http/framing.py": "knows lines of HTTP/1 as they come",
    "http/hop.py": "knows lines of HTTP/1 as they come",
    "server/h1/connection.py": "ends a head of HTTP/1",
    "server/h1/response.py": "ends a head of HTTP/1",
}
"""Files with a whole line of a header, or the beginning of one, and why."""


def test_lines_of_headers_are_written_in_one_place() -> None:
    found = {
        path
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, bytes)
        and re.match(rb"[\w%-]*: ", node.value)
    }
    assert found == LINES.keys()


STATEFUL = {
    "AttemptSpan", "BodyMemory", "KnownNames", "LogOnce", "Memo", "SparePipes", "Spares", "Texts",
    "Timeline", "Traffic", "WatchedFiles", "WeakValueDictionary", "Wheel", "_Addresses", "_Lengths",
    "_Lines", "_Pieces", "_Places", "_Statuses", "dict", "set",
}  # fmt: skip
"""What makes a value that changes."""


def module_state() -> set[str]:
    """Return the names of what is kept at module level and changes, as the table writes them."""
    found = set()
    for path, tree in trees():
        module = path.removesuffix(".py").replace("/", ".")
        for node in tree.body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                    pass
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    pass
                case _:
                    continue
            if re.fullmatch(r"_?[a-z][a-z_]*", name) and _changes(value, name, tree):
                found.add(f"{module}.{name}")
        found |= {f"{module} (`{cache}`)" for node in tree.body for cache in _caches(node)}
    return found


def _changes(value: ast.expr, name: str, tree: ast.Module) -> bool:
    if any(isinstance(node, ast.Global) and name in node.names for node in ast.walk(tree)):
        return True
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in STATEFUL
    )


def _caches(node: ast.stmt) -> list[str]:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return [
        name for each in decorators for name in re.findall(r"\b(?:lru_)?cache\b", ast.unparse(each))
    ]


def test_all_state_of_modules_is_in_the_table() -> None:
    rows = re.findall(
        r"^\| `([\w.]+)`( \(`(?:lru_)?cache`\))? \|", meshproxy.__doc__ or "", re.MULTILINE
    )
    assert {name + cached for name, cached in rows} == module_state()


def test_slots_of_a_request_are_written_where_its_table_says() -> None:
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \|$", getdoc(Request) or "", re.MULTILINE)
    allowed = {
        slot: {*re.findall(r"`([\w/]+)`", writers), *re.findall(r"\bserver\b", writers)}
        for slots, writers in rows
        for slot in re.findall(r"`(\w+)`", slots)
    }
    assert allowed.keys() == set(Request.__slots__)
    breaches = [
        f"{path}:{node.lineno}: {node.attr}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"request", "asked"}
        and not any(path.startswith(writer) for writer in allowed.get(node.attr, set()))
    ]
    assert breaches == []


def test_no_class_name_stands_for_two_things() -> None:
    seen: dict[str, str] = {}
    twice = []
    for path, tree in trees():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                if node.name in seen:
                    twice.append(f"{node.name}: {seen[node.name]} and {path}")
                seen[node.name] = path
    assert twice == []
