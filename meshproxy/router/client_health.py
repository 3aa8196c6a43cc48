"""What metrics and the timeline say about the endpoints of a client."""

from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Final

from meshproxy.client.endpoint import Endpoint, show
from meshproxy.client.transport import ConnectStats
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Addr, AddrBound, Address, AddrFailed, AddrPending
from meshproxy.timeline import Kind, timeline

_SHOWN: Final = 5
"""Addresses that an event names; of more it says how many."""


def measure(
    metrics: Tree,
    connects: ConnectStats,
    endpoints: Callable[[], Iterable[Endpoint]],
    any_open: Callable[[], bool],
) -> None:
    """Adds gauges to *metrics*, the scope of a client.

    Args:
        metrics: the scope of the client.
        connects: counts its connections.
        endpoints: returns all endpoints.
        any_open: returns True if any takes requests.
    """
    metrics.gauge("pool_size", fn=lambda: connects.open)
    metrics.gauge("pool_cached", fn=lambda: sum(one.idle for one in endpoints()))
    metrics.gauge("available", fn=any_open, together="max")
    metrics.gauge(
        "failure_accrual",
        "longest_dead_s",
        fn=lambda: max((one.out_s for one in endpoints()), default=0.0),
        together="max",
    )


def note_change(client: str, before: Addr, after: Addr) -> None:
    """Notes how the addresses of *client* changed, unless *after* are the first that are known."""
    if isinstance(before, AddrPending) or before == after:
        return
    had, has = _addresses(before), _addresses(after)
    came, went = ({show(one) for one in some} for some in (has - had, had - has))
    changes = [
        f"{_some(sorted(names))} {what}"
        for names, what in ((came - went, "added"), (went - came, "removed"))
        if names
    ]
    match after:
        case AddrBound():
            changes.append(f"{len(has)} addresses now" if has else "no address now")
        case AddrFailed(why):
            changes.append(f"failed: {why}")
        case _:
            changes.append("the name leads nowhere now")
    timeline.note(Kind.ADDRESSES, client, "; ".join(changes))


def _addresses(addr: Addr) -> frozenset[Address]:
    return addr.addresses if isinstance(addr, AddrBound) else frozenset()


def _some(names: Collection[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(islice(names, _SHOWN))
    return f"{shown} and {more} more" if more > 0 else shown
