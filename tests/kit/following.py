"""Whoever uses a name: observes its tree, and the addresses of its leaf."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from meshproxy.naming.addr import ADDR_PENDING, Addr, AddrBound, Address
from meshproxy.naming.bound import Bound
from meshproxy.naming.namer import Lookup, Namer
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Ok, State, Var

from .k8s import wait_until


def bound(*hosts: str, port: int = 80, authority: str | None = None) -> AddrBound:
    """Return what a name with these hosts is bound to."""
    return AddrBound(frozenset(Address(host, port) for host in hosts), authority)


class Following:
    """Follows what a name stands for."""

    def __init__(self, found: Lookup) -> None:
        self.bound: Bound | None = None
        """The first leaf."""
        self.state: State[Any] = PENDING
        self.addr: Addr = ADDR_PENDING
        self._close_addr: Callable[[], None] | None = None
        assert isinstance(found, Var)
        self._close = found.observe(self._take)

    def _take(self, state: State[Any]) -> None:
        self.state = state
        if isinstance(state, Ok) and isinstance(state.value, Leaf) and self._close_addr is None:
            self.bound = state.value.value
            self._close_addr = self.bound.addr.observe(self._take_addr)

    def _take_addr(self, addr: Addr) -> None:
        self.addr = addr

    def wait(self, state: State[Any]) -> None:
        """Wait until this is what the name stands for."""
        wait_until(lambda: self.state == state)

    def wait_neg(self) -> None:
        """Wait until the name is negative."""
        self.wait(Ok(NEG))

    def wait_addr(self, addr: Addr) -> None:
        """Wait until this is the address of the leaf."""
        wait_until(lambda: self.addr == addr)

    def wait_hosts(self, *hosts: str, authority: str | None = None) -> None:
        """Wait until these hosts, at port 80, are what the leaf is bound to."""
        self.wait_addr(bound(*hosts, authority=authority))

    def close(self) -> None:
        """Stop."""
        self._close()
        if self._close_addr is not None:
            self._close_addr()


@contextmanager
def following(namer: Namer, name: str) -> Iterator[Following]:
    """Follow *name*, without the namer's prefix, in a block."""
    follow = Following(namer.lookup(Path.parse(name)))
    try:
        yield follow
    finally:
        follow.close()
