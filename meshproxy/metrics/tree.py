"""A tree of metrics: scopes within scopes, each bounded, passed on as arguments.

Linkerd's MetricsTree (linkerd: telemetry/core/.../MetricsTree.scala); exporters walk it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

from meshproxy.metrics.instruments import Counter, Gauge, Instrument, Shared, Stat, Together, Total

MAX_CHILDREN: Final = 1000
"""Scopes, and likewise instruments, in one scope; later ones share the child `OVERFLOW`."""
OVERFLOW: Final = "other"

Scope = tuple[str, ...]
_Kind = TypeVar("_Kind", Counter, Total, Gauge, Stat)


class Tree:
    """A scope: named scopes below it and named instruments in it, created on first use.

    The same name gives the same object, so callers look theirs up once and keep it.
    """

    __slots__ = ("_holders", "_home", "_name", "_shared", "instruments", "scopes")

    def __init__(self) -> None:
        self.scopes: dict[str, Tree] = {}
        """Read only: the scopes created here by `scope`."""
        self.instruments: dict[str, Instrument] = {}
        """Read only: the instruments created here by `counter`, `gauge` and `stat`."""
        self._shared: dict[str, Shared] = {}
        self._home: dict[str, Tree] = {}
        self._name = ""
        self._holders = 0

    def scope(self, *names: str) -> "Tree":
        """Returns the scope *names* below this one; a name may contain slashes."""
        tree = self
        for name in names:
            tree = tree.scopes.get(name) or tree._new_scope(name)
        return tree

    def counter(self, *names: str) -> Counter:
        """Returns the counter at *names*. Raises TypeError if another kind has that name."""
        return self._instrument(names, Counter)

    def total(self, *names: str, of: Iterable[Counter] = ()) -> Total:
        """Returns the counter at *names*, which from now on includes the counters *of*."""
        total = self._instrument(names, Total)
        total.add_up(of)
        return total

    def gauge(
        self, *names: str, fn: Callable[[], float] | None = None, together: Together = "sum"
    ) -> Gauge:
        """Returns the gauge at *names*, from now on read from *fn* if that is given.

        *together* is how several workers are combined: by the sum of their readings or, for what
        they have in common, the highest.
        """
        gauge = self._instrument(names, Gauge)
        gauge.together = together
        if fn is not None:
            gauge.fn = fn
        return gauge

    def stat(self, *names: str) -> Stat:
        """Returns the histogram at *names*. Raises TypeError if another kind has that name."""
        return self._instrument(names, Stat)

    def shared(self, name: str, counters: Iterable[Total], stats: Sequence[Stat]) -> Shared:
        """Returns what *counters* and *stats* share under *name*, which is not shown itself."""
        found = self._shared.get(name)
        if found is None:
            found = self._shared[name] = Shared(counters, stats)
        return found

    def hold(self) -> None:
        """Keeps this scope in the tree until `prune` was called as often as `hold`."""
        self._holders += 1

    def prune(self) -> None:
        """Releases this scope; the last holder removes it and everything below from the tree.

        The shared overflow scope stays, since others count there too.
        """
        self._holders -= 1
        if self._holders <= 0 and self._home.get(self._name) is self:
            del self._home[self._name]
            self._empty()

    def remove(self, *names: str) -> None:
        """Removes the instrument at *names*, and every scope that is empty without it.

        Does nothing if there is none; the shared overflow scopes stay, as with `prune`.
        """
        *scopes, name = names
        way = [self]
        for scope in scopes:
            below = way[-1].scopes.get(scope)
            if below is None:
                return
            way.append(below)
        way[-1].instruments.pop(name, None)
        while len(way) > 1 and not way[-1].instruments and not way[-1].scopes:
            way.pop().prune()

    def walk(self) -> Iterator[tuple[Scope, Instrument]]:
        """Yields every instrument with its full scope; each scope is read when it is reached."""
        waiting: list[tuple[Scope, Tree]] = [((), self)]
        while waiting:
            at, tree = waiting.pop()
            for name, instrument in list(tree.instruments.items()):
                yield (*at, name), instrument
            waiting += [((*at, name), below) for name, below in reversed(tree.scopes.items())]

    def _empty(self) -> None:
        """Drops what leads back here, scopes and what gauges read: all of it goes at once."""
        waiting = [self]
        while waiting:
            tree = waiting.pop()
            waiting += tree.scopes.values()
            tree.scopes.clear()
            for instrument in tree.instruments.values():
                if isinstance(instrument, Gauge):
                    instrument.fn = None

    def _new_scope(self, name: str) -> "Tree":
        if len(self.scopes) >= MAX_CHILDREN:
            return self.scopes.setdefault(OVERFLOW, Tree())
        tree = self.scopes[name] = Tree()
        tree._home, tree._name = self.scopes, name
        return tree

    def _instrument(self, names: tuple[str, ...], kind: type[_Kind]) -> _Kind:
        *scopes, name = names
        instruments = self.scope(*scopes).instruments
        found = instruments.get(name)
        if found is None:
            if len(instruments) >= MAX_CHILDREN:
                name = OVERFLOW
            found = instruments.setdefault(name, kind())
        if not isinstance(found, kind):
            raise TypeError(f"{name} is a {type(found).__name__}, not a {kind.__name__}")
        return found
