"""Where a number lives: scopes within scopes, each bounded, handed down by argument.

Linkerd's MetricsTree (linkerd: telemetry/core/.../MetricsTree.scala); exporters walk it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from meshproxy.metrics.instruments import Counter, Gauge, Instrument, Stat, Together, Total

MAX_CHILDREN: Final = 1000
"""Scopes, and likewise instruments, of one scope; later ones share the child `OVERFLOW`."""
OVERFLOW: Final = "other"

Scope = tuple[str, ...]
_Kind = TypeVar("_Kind", Counter, Total, Gauge, Stat)


class Tree:
    """A scope: named scopes below it and named instruments in it, made at the first mention.

    The same name gives the same object, so callers look theirs up once and keep it.
    """

    __slots__ = ("_holders", "_home", "_name", "instruments", "scopes")

    def __init__(self) -> None:
        self.scopes: dict[str, Tree] = {}
        """Read only: what `scope` made here."""
        self.instruments: dict[str, Instrument] = {}
        """Read only: what `counter`, `gauge` and `stat` made here."""
        self._home: dict[str, Tree] = {}
        self._name = ""
        self._holders = 0

    def scope(self, *names: str) -> "Tree":
        """Return the scope *names* below this one; a name may hold slashes."""
        tree = self
        for name in names:
            tree = tree.scopes.get(name) or tree._new_scope(name)
        return tree

    def counter(self, *names: str) -> Counter:
        """Return the counter at *names*; TypeError if another kind has that name."""
        return self._instrument(names, Counter)

    def total(self, *names: str, of: Iterable[Counter]) -> Total:
        """Return the counter at *names*, into which the counters *of* go from now on."""
        total = self._instrument(names, Total)
        total.add_up(of)
        return total

    def gauge(
        self, *names: str, fn: Callable[[], float] | None = None, together: Together = "sum"
    ) -> Gauge:
        """Return the gauge at *names*, from now on read from *fn* if that is given.

        Several workers are *together* the sum of their readings, or the highest: the latter for
        what they have in common.
        """
        gauge = self._instrument(names, Gauge)
        gauge.together = together
        if fn is not None:
            gauge.fn = fn
        return gauge

    def stat(self, *names: str) -> Stat:
        """Return the histogram at *names*; TypeError if another kind has that name."""
        return self._instrument(names, Stat)

    def hold(self) -> None:
        """Keep this scope in the tree until as many `prune` as `hold` it."""
        self._holders += 1

    def prune(self) -> None:
        """Let go of this scope; the last holder takes it and all below out of the tree.

        The shared overflow scope stays, since others count there too.
        """
        self._holders -= 1
        if self._holders <= 0 and self._home.get(self._name) is self:
            del self._home[self._name]

    def remove(self, *names: str) -> None:
        """Take the instrument at *names* out, and every scope that is empty without it.

        One that is not there is no error; the shared overflow scopes stay, as with `prune`.
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
        """Yield every instrument with its full scope, as the tree is when each scope is reached."""
        waiting: list[tuple[Scope, Tree]] = [((), self)]
        while waiting:
            at, tree = waiting.pop()
            for name, instrument in list(tree.instruments.items()):
                yield (*at, name), instrument
            waiting += [((*at, name), below) for name, below in reversed(tree.scopes.items())]

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
