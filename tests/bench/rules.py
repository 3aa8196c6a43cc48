"""What egress rules cost a request, in this process: all that a request does for their sake."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import process_time
from typing import Final

from meshproxy.config.load import load
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response, text_response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.path import Path
from meshproxy.router.address_filter import AddressFilter
from meshproxy.router.egress import Gate, JudgedPath
from meshproxy.router.passage import Refusal
from meshproxy.var import Var
from tests.kit.messages import request

RULES: Final = 1000
REQUESTS: Final = 20_000
HOST: Final = "h999.test"
KINDS: Final = {
    "no `egress`": 0.5,
    "`egress: {}`": 5.0,
    f"{RULES:,} rules, each for a host": 5.0,
}
"""What is measured, and the most that it may cost, in us."""
_NAME: Final = Path.of("svc", HOST)
_CONFIG: Final = """
routers:
- protocol: http
  servers: [{{port: 0}}]
  egress: {egress}
"""


class _Ungated:
    """What stands in the place of rules where there are none, at a router and at a client."""

    gate: Gate | None = None


def measure_rules(kind: str, requests: int = REQUESTS) -> float:
    """Return the us of CPU time that a request spends on rules of this kind."""
    egress = dict(zip(KINDS, (None, "{}", _many()), strict=True))[kind]
    if egress is None:
        return _spent(requests, _asks_nobody()) - _spent(requests, lambda _: None)
    serve = _answer
    judged = _judged(egress)
    return _spent(requests, judged) - _spent(requests, lambda one: serve((_NAME, None, None), one))


def _many() -> str:
    rules = (f"{{name: r{n}, action: allow, host: h{n}.test}}" for n in range(RULES))
    return f"{{default: deny, rules: [{', '.join(rules)}]}}"


def _asks_nobody() -> Callable[[Request], object]:
    router = client = _Ungated()
    return lambda _: router.gate is not None or client.gate is not None


def _judged(egress: str) -> Callable[[Request], object]:
    """Return what judges a request before its name is bound, and at its address."""
    config = load(_CONFIG.format(egress=egress), "bench.yaml").routers[0].egress
    assert config is not None
    metrics = Tree()
    gate = Gate(config, metrics)
    address = Address("8.8.8.8", 80)
    bound = Bound(
        Path.of("$", "io.buoyant.rinet", "80", HOST),
        Var(AddrBound(frozenset({address}))),
        chosen_by=ChosenBy.REQUEST,
    )
    filters: list[AddressFilter] = []

    def serve(judged: JudgedPath, one: Request) -> Response:
        if not filters:
            left = gate.at_bound(bound, judged[2])
            assert not isinstance(left, Refusal)
            filters.append(AddressFilter(left, gate.filtered))
            assert filters[0].admits(address)
            filters[0].settle()
        filters[0].admit(one)
        response = _answer(judged, one)
        filters[0].note(one)
        return response

    return lambda one: gate.serve(_NAME, one, serve)


def _answer(_judged: object, _request: Request) -> Response:
    return _RESPONSE


_RESPONSE: Final = text_response(200, "")


def _spent(requests: int, serve: Callable[[Request], object]) -> float:
    """Return the us of CPU time of one call of *serve*, the least of some series."""
    one = request()
    one.headers = of((b"Host", HOST.encode()))
    found = []
    for _ in range(5):
        began = process_time()
        for _ in range(requests):
            serve(one)
        found.append((process_time() - began) / requests * 1e6)
    return min(found)


def markdown(found: Mapping[str, Sequence[float]]) -> str:
    """Return a table of the medians of all repetitions."""
    lines = ["", "| egress rules of a router | CPU time a request | goal |", "| --- | --- | --- |"]
    for kind, ones in found.items():
        lines.append(f"| {kind} | {median(ones):.2f} us | {KINDS[kind]:g} us |")
    return "\n".join(lines) + "\n"
