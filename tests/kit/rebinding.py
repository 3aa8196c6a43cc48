"""A name that is followed as a router does: where it is bound, and to which addresses."""

from typing import Any

from meshproxy.naming.addr import ADDR_PENDING, Addr, AddrBound, AddrNeg
from meshproxy.naming.namer import Namer
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Ok, State, Var

from .closing import Closing
from .k8s import wait_until


class Rebinding(Closing):
    """Follows *name* until closed; a context manager."""

    def __init__(self, namer: Namer, name: str) -> None:
        self.state: State[Any] = PENDING
        self.addr: Addr = ADDR_PENDING
        self._id: Path | None = None
        self._close_addr = self._close = lambda: None
        found = namer.lookup(Path.parse(name))
        if isinstance(found, Var):
            self._close = found.observe(self._take)
        else:
            self._take(Ok(found))

    @property
    def seen(self) -> object:
        """Return `neg`, `pending`, or the id, the residual, and `host:port*weight` of each."""
        if not isinstance(self.state, Ok):
            return "pending"
        tree = self.state.value
        if tree == NEG:
            return "neg"
        assert isinstance(tree, Leaf)
        match self.addr:
            case AddrBound(addresses):
                hosts = [f"{one.host}:{one.port}*{one.weight:g}" for one in addresses]
            case AddrNeg():
                return "neg"
            case _:
                return "pending"
        return tree.value.id.show(), tree.value.residual.show(), *sorted(hosts)

    def wait_for(self, *expected: str) -> None:
        """Wait until that is seen; fails with what is seen instead."""
        wanted = expected[0] if len(expected) == 1 else expected
        try:
            wait_until(lambda: self.seen == wanted)
        except AssertionError:
            raise AssertionError(f"{self.seen} is not {wanted}") from None

    def close(self) -> None:
        """Follow it no more."""
        self._close()
        self._close_addr()

    def _take(self, state: State[Any]) -> None:
        self.state = state
        bound = (
            state.value.value if isinstance(state, Ok) and isinstance(state.value, Leaf) else None
        )
        if bound is None or bound.id != self._id:
            before, self._close_addr = self._close_addr, lambda: None
            self._id = None if bound is None else bound.id
            if bound is not None:
                self._close_addr = bound.addr.observe(self._take_addr)
            before()

    def _take_addr(self, addr: Addr) -> None:
        self.addr = addr
