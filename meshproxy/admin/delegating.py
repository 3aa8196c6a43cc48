"""Waits for the steps of a name, within the time that a request allows."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

from meshproxy.admin.delegation_tree import ends
from meshproxy.naming.addr import Addr, AddrPending
from meshproxy.naming.delegation import Delegation
from meshproxy.naming.nametree import Leaf
from meshproxy.var import PENDING, Activity, Ok, Pending, State, wait


@contextmanager
def delegated(following: Activity[Delegation], seconds: float) -> Iterator[Delegation | None]:
    """Yields the steps when all of them and their addresses are known, or after *seconds*.

    Meanwhile all of it is followed, so that what is asked later is known too. Yields None if there
    is no step yet.
    """
    deadline = monotonic() + seconds
    with ExitStack() as observed:
        observed.callback(following.observe(_ignore))
        wait(following.map(_complete), seconds)
        state = following.sample()
        if not isinstance(state, Ok):
            yield None
            return
        for end in ends(state.value.root):
            match end.state:
                case Ok(Leaf(bound)):
                    observed.callback(bound.addr.observe(_ignore))
                    wait(bound.addr.map(_known), max(deadline - monotonic(), 0))
        yield state.value


def _complete(state: State[Delegation]) -> State[Delegation]:
    if not isinstance(state, Ok):
        return state
    is_pending = any(isinstance(end.state, Pending) for end in ends(state.value.root))
    return PENDING if is_pending else state


def _known(addr: Addr) -> State[Addr]:
    return PENDING if isinstance(addr, AddrPending) else Ok(addr)


def _ignore(_: object) -> None:
    """Keeps what is observed alive."""
