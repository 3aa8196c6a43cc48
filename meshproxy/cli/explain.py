"""`meshproxy explain CONFIG NAME`: how a name is delegated, and if that leads to an endpoint."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from meshproxy.admin.delegator import PATH
from meshproxy.admin.pages import AdminRequest
from meshproxy.cli.configuration import run_with
from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import Loaded
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.process_log import log_to_stderr

Node = Mapping[str, Any]


def run(given: Namespace) -> int:
    """Prints the steps; 0 if they lead to an endpoint, else 1."""
    log_to_stderr("error", "text")
    return run_with(given.config, lambda loaded: _explain(loaded, given))


def _explain(loaded: Loaded, given: Namespace) -> int:
    """Asks the namers of *loaded*, without listening anywhere."""
    if loaded.missing:
        raise ConfigErrors(loaded.missing)
    router = given.router or loaded.config.routers[0].name
    query = {"namespace": router, "path": given.name}
    if given.dtab is not None:
        query["dtab"] = f"{_dtab_of(loaded, router)};{given.dtab}"
    answer = Linker(loaded.config).answer(AdminRequest("GET", PATH, query))
    if answer.status != 200:
        print(f"meshproxy: {answer.body.decode().strip()}", file=sys.stderr)
        return 1
    tree: Node = json.loads(answer.body)
    is_bound = leads_on(tree) is True
    if given.json:
        found = {"router": router, "path": given.name, "bound": is_bound, "tree": tree}
        print(json.dumps(found, indent=2))
    else:
        print("\n".join(lines_of(tree)))
        print("leads to an endpoint" if is_bound else "leads nowhere")
    return 0 if is_bound else 1


def _dtab_of(loaded: Loaded, router: str) -> str:
    found = [one.dtab.show() for one in loaded.config.routers if one.name == router]
    return found[0] if found else ""


def lines_of(node: Node, indent: str = "") -> Iterator[str]:
    """Yields a line for *node* of a tree as `/delegator.json` has it, and for all below it."""
    rule = node.get("dentry")
    by = f"  ({rule['prefix']} => {rule['dst']})" if rule else ""
    yield f"{indent}{node['path']}{by}{_end(node)}"
    for weight, below in _below(node):
        yield from lines_of(below, f"{indent}  {weight}")


def leads_on(node: Node) -> bool | None:
    """Returns True if *node* is bound to an endpoint, None if it is negative, else False."""
    match node["type"]:
        case "leaf":
            return bool(node["bound"]["addr"].get("addrs"))
        case "neg":
            return None
    found = [leads_on(below) for _, below in _below(node)]
    if node["type"] == "union":
        return True if True in found else (False if False in found else None)
    if node["type"] in {"fail", "empty", "exception"}:
        return False
    return next((one for one in found if one is not None), None)


def _below(node: Node) -> list[tuple[str, Node]]:
    match node["type"]:
        case "delegate":
            return [("", node["delegate"])]
        case "transformation":
            return [("", node["tree"])]
        case "alt":
            return [("", one) for one in node["alt"]]
        case "union":
            return [(f"{one['weight']:g} * ", one["tree"]) for one in node["union"]]
    return []


def _end(node: Node) -> str:
    match node["type"]:
        case "leaf":
            return f": bound to {node['bound']['id']}, {_addresses(node['bound']['addr'])}"
        case "exception":
            return f": {node['message']}"
        case "transformation":
            return f": changed by {node['name']}"
        case "neg" | "fail" | "empty":
            return f": {node['type']}"
    return ""


def _addresses(addr: Node) -> str:
    if addr["type"] == "bound":
        return ", ".join(f"{one['ip']}:{one['port']}" for one in addr["addrs"]) or "no endpoints"
    return f"failed: {addr['cause']}" if addr["type"] == "failed" else str(addr["type"])
