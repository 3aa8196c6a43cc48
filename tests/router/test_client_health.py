"""What is told of a client's endpoints."""

import pytest

from meshproxy.client.transport import ConnectStats
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.router.client_health import measure, note_change
from tests.kit.events import events_of
from tests.kit.nodes import numbers


class Endpoint:
    """One that is out for some seconds, if any, and has two idle connections."""

    idle = 2

    def __init__(self, out_s: float) -> None:
        self.out_s = out_s


def of(*numbers: int) -> Addr:
    return AddrBound(frozenset(Address(f"10.0.0.{number}", 80) for number in numbers))


@pytest.mark.parametrize(
    ("out", "longest_s"), [((0, 3.5, 12), 12), ((1, 2), 2), ((0,), 0), ((), 0)]
)
def test_gauges_are_those_of_all_endpoints(out: tuple[float, ...], longest_s: float) -> None:
    metrics = Tree()
    endpoints = [Endpoint(seconds) for seconds in out]
    measure(metrics, ConnectStats(Tree()), lambda: endpoints, lambda: True)  # type: ignore[arg-type, return-value]
    shown = numbers(metrics)
    assert (shown["available"], shown["pool_cached"]) == (1, 2 * len(endpoints))
    assert shown["failure_accrual/longest_dead_s"] == longest_s


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ADDR_PENDING, of(1), []),
        (of(1), of(1), []),
        (of(1, 2), of(2, 3), ["10.0.0.3:80 added; 10.0.0.1:80 removed; 2 addresses now"]),
        (of(1), of(), ["10.0.0.1:80 removed; no address now"]),
        (of(1), ADDR_NEG, ["10.0.0.1:80 removed; the name leads nowhere now"]),
        (ADDR_NEG, of(1), ["10.0.0.1:80 added; 1 addresses now"]),
        (ADDR_NEG, AddrFailed("no such host"), ["failed: no such host"]),
        (
            ADDR_NEG,
            of(*range(1, 8)),
            [
                ", ".join(f"10.0.0.{number}:80" for number in range(1, 6))
                + " and 2 more added; 7 addresses now"
            ],
        ),
    ],
    ids=str,
)
def test_a_change_of_addresses_is_an_event(
    before: Addr, after: Addr, expected: list[str], request: pytest.FixtureRequest
) -> None:
    name = request.node.name
    note_change(name, before, after)
    assert events_of(name[:300]) == expected
