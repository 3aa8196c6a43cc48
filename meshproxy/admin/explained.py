"""An explanation in lines for people, as the command prints them and the page shows them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Node = Mapping[str, Any]

_ENDS: Final = {
    "neg": "no such name",
    "fail": "fails, and no other entry is tried",
    "empty": "no endpoints, and no other entry is tried",
}
"""What the trees `~`, `!` and `$` mean."""

_NO_ADDRESSES: Final = {
    "bound": "no endpoints",
    "neg": "no endpoints",
    "pending": "no answer yet",
}
"""What an address set without addresses means."""

_PROBLEMS: Final = {
    "why": "Ends that lead nowhere",
    "failing": "Discovery that fails now, so that names may be missing",
    "pending": "Not answered yet",
}

_EGRESS_LATER: Final = {"depends": "depends on the request, or on the address that it leads to"}


def summary(found: Node) -> str:
    """Returns how it ends, in one line."""
    if found["path"] is None:
        return f"the request gets no name: {found['request']['error']}"
    if found["bound"]:
        return "leads to an endpoint"
    if found["pending"]:
        return f"leads nowhere yet: no answer from {', '.join(found['pending'])}"
    return "leads nowhere"


def lines_of(found: Node) -> Iterator[tuple[str, list[str]]]:
    """Yields each part of *found*: its heading, and its lines."""
    if found["request"] is not None:
        yield "Request", list(_request(found["request"]))
    if found["path"] is None:
        return
    if found["tree"] is not None:
        yield "Steps", list(tree_lines(found["tree"]))
    for key, heading in _PROBLEMS.items():
        if found.get(key):
            yield heading, found[key]
    if found.get("egress") is not None:
        yield "Egress", [_EGRESS_LATER.get(found["egress"]["decision"]) or _egress(found["egress"])]
    if found["service"]["settings"]:
        yield "Settings of the service", list(_settings(found["service"]["settings"]))
    for client in found["clients"]:
        yield f"Client {client['id']}", list(_client(client))
    hidden = found.get("client_count", 0) - len(found["clients"])
    if hidden > 0:
        yield "More clients", [f"and {hidden} more"]


def tree_lines(node: Node, indent: str = "", weight: str = "") -> Iterator[str]:
    """Yields a line for *node* of a tree as `/delegator.json` has it, and for all below it."""
    rule = node.get("dentry")
    by = ""
    if rule:
        place = f", {rule['place']}" if "place" in rule else ""
        by = f"  ({rule['prefix']} => {rule['dst']}{place})"
    elif "by" in node:
        by = f"  ({node['by']} says)"
    yield f"{indent}{weight}{node['path']}{by}{_end(node)}"
    for its_weight, below in _below(node):
        yield from tree_lines(below, f"{indent}  ", its_weight)


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
            return f": {_ENDS[node['type']]}"
    return ""


def _addresses(addr: Node) -> str:
    if addr["type"] == "bound":
        return ", ".join(f"{one['ip']}:{one['port']}" for one in addr["addrs"]) or "no endpoints"
    return f"failed: {addr['cause']}" if addr["type"] == "failed" else _NO_ADDRESSES[addr["type"]]


def _request(request: Node) -> Iterator[str]:
    yield f"{request['method']} {request['target']}, Host: {request['host']}"
    yield f"named {request['name']}" if request["name"] else f"no name: {request['error']}"


def _client(client: Node) -> Iterator[str]:
    share = client["share"]
    yield ("all requests" if share == 1 else f"{share * 100:.4g}% of the requests") + (
        f", residual {client['residual']}" if client["residual"] != "/" else ""
    )
    if "error" in client:
        yield client["error"]
    else:
        yield f"balancer {client['balancer']}, breaker {client['breaker']}, {_tls(client['tls'])}"
    yield from _settings(client["settings"])
    if not client["endpoints"]:
        yield _NO_ADDRESSES.get(client["addr"], str(client["addr"]))
    for endpoint in client["endpoints"]:
        yield f"  {_endpoint(endpoint)}"
    if client["endpoint_count"] > len(client["endpoints"]):
        yield f"  and {client['endpoint_count'] - len(client['endpoints'])} more"


def _tls(tls: Node | None) -> str:
    if tls is None:
        return "no TLS"
    return f"TLS for {tls['name'] or 'any name'}{'' if tls['verified'] else ', not verified'}"


def _endpoint(endpoint: Node) -> str:
    parts = [str(endpoint["address"]), f"weight {endpoint['weight']:g}"]
    if "state" in endpoint:
        parts.append(str(endpoint["state"]))
        if endpoint["seconds_out"]:
            parts.append(f"for {endpoint['seconds_out']:g} s more")
        parts.append(f"{endpoint['pending']:g} pending")
        if endpoint["ewma_ms"] is not None:
            parts.append(f"EWMA {endpoint['ewma_ms']:g} ms")
    if "egress" in endpoint:
        parts.append(f"egress: {_egress(endpoint['egress'])}")
    return ", ".join(parts)


def _egress(judged: Node) -> str:
    rule = f" by {judged['rule']}" if judged["rule"] else ""
    reported = f", reported by {', '.join(judged['reported'])}" if judged["reported"] else ""
    return f"{judged['decision']}{rule}{reported}"


def _settings(settings: list[Node]) -> Iterator[str]:
    for one in settings:
        yield f"{one['key']}: {_flat(one['value'])}  (from {one['prefix']})"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flat(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
