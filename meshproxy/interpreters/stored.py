"""Binding by a dtab that is kept elsewhere, in front of the router's own."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from typing import Any, TypeVar

from meshproxy.discovery.watching.watch import Watch
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.metrics.instruments import Counter
from meshproxy.naming.delegation import Delegation
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.followed import Followed
from meshproxy.naming.namer import BoundTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok, State, Var

T = TypeVar("T")


class StoredDtabInterpreter:
    """Binds by the stored table and the router's, whose entries come later and so win."""

    def __init__(self, stored: Activity[Dtab], inner: DefaultInterpreter) -> None:
        self._stored = stored
        self._inner = inner

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        """Follows *path* through the stored table and *dtab*, and again after each change."""
        return self._with_stored(lambda stored: self._inner.bind(stored + dtab, path))

    def delegate(self, dtab: Dtab, path: Path) -> Activity[Delegation]:
        """Returns every step from *path* through the stored table and *dtab*."""
        return self._with_stored(lambda stored: self._inner.delegate(stored + dtab, path))

    def _with_stored(self, ask: Callable[[Dtab], Activity[T]]) -> Activity[T]:
        def follow(state: State[Dtab]) -> Activity[T]:
            return ask(state.value) if isinstance(state, Ok) else Var(state)

        return self._stored.flat_map(follow)


class WatchedDtabInterpreter(StoredDtabInterpreter):
    """The same, by a table that *watch* follows; what that yields may be a failure."""

    def __init__(self, watch: Watch[State[Dtab]], inner: DefaultInterpreter) -> None:
        super().__init__(watch.states.map(_flat), inner)
        self._watch = watch

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of the table, by its name, if it is in use."""
        return {} if self._watch.is_idle else {self._watch.name: self._watch.describe()}

    def followed(self) -> Iterator[Followed]:
        """Yields a short form of the same."""
        if not self._watch.is_idle:
            yield self._watch.followed()


def read_dtabs(
    texts: Generator[str | bytes | None, None, None],
    at_start: Callable[[ValueError], State[Dtab]],
    unreadable: Counter,
) -> Generator[State[Dtab], None, None]:
    """Yields the table of each text; that of none is empty.

    A text that does not parse is counted and leaves the table as it was; *at_start* says what it
    is if there was none.
    """
    state: State[Dtab] | None = None
    with closing(texts):
        for text in texts:
            try:
                state = Ok(Dtab.parse(text.decode() if isinstance(text, bytes) else text or ""))
            except ValueError as error:
                unreadable.incr()
                if not isinstance(state, Ok):
                    state = at_start(error)
            yield state


def show_dtab(state: State[Dtab]) -> str:
    """Returns a table, or why there is none, for operators."""
    return state.value.show() if isinstance(state, Ok) else str(state)


def _flat(state: State[State[Dtab]]) -> State[Dtab]:
    return state.value if isinstance(state, Ok) else state
