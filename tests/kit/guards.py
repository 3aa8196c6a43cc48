"""Guards for routers and clients that are tested without their process."""

from meshproxy.metrics.tree import Tree
from meshproxy.router.own_listeners import LoopGuard, OwnListener, OwnListeners


def guard(*listeners: OwnListener, router: str = "http", metrics: Tree | None = None) -> LoopGuard:
    """Return the guard of *router* in a process with *listeners*, whose machine has loopback."""
    own = OwnListeners(lambda ip: ip.is_loopback)
    own.replace(listeners)
    return LoopGuard(own, router, metrics if metrics is not None else Tree())
