"""Whether traffic is wanted: not before the namers have answered, not after the stop began.

A namer is asked early for what the dtabs say of it: `/#/io.l5d.k8s/default/http` names a
namespace, whose watch is begun at the start instead of at the first request. Of a namer that no
dtab says more of than its prefix, nothing is known before a request comes, so it counts as ready.
"""

from collections.abc import Iterator, Sequence

from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Namer
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Close, Pending, State, Var

_PROBE = Path.of("readiness", "readiness", "readiness", "readiness")
"""Stands for the part of a name that a request would bring."""


class Readiness:
    """Follows the first answers of a process's namers."""

    def __init__(self) -> None:
        self._waiting: dict[str, object] = {}
        self._watches: list[Close] = []
        self._was_ready = False
        self.is_ending = False

    def why_not(self) -> str | None:
        """Why no traffic is wanted, or None; once it was, only the end takes that back."""
        if self.is_ending:
            return "ending"
        if not self._was_ready and self._waiting:
            return f"waiting for the first answer of {', '.join(self._waiting)}"
        self._was_ready = True
        return None

    def watch(self, namers: Sequence[Namer], dtabs: Sequence[Dtab]) -> None:
        """Ask *namers* for what *dtabs* say of them, and keep on instead of what was asked before.

        Whatever they answer counts, also that a name is negative or failed.
        """
        before, self._watches = self._watches, []
        self._waiting = {}
        for path, namer in _early(namers, dtabs):
            found = namer.lookup(path.drop(len(namer.prefix)) + _PROBE)
            if isinstance(found, Var):
                self._follow(path.show(), found)
        for close in before:
            close()

    def close(self) -> None:
        """Ask nobody any more."""
        self.watch((), ())

    def _follow(self, name: str, found: Activity[NameTree[Path | Bound]]) -> None:
        token = object()
        self._waiting[name] = token

        def take(state: State[NameTree[Path | Bound]]) -> None:
            if not isinstance(state, Pending) and self._waiting.get(name) is token:
                del self._waiting[name]

        self._watches.append(found.observe(take))


def _early(namers: Sequence[Namer], dtabs: Sequence[Dtab]) -> Iterator[tuple[Path, Namer]]:
    """The paths that dtabs lead to, each once, with the namers that would be asked for them."""
    paths: dict[Path, None] = {}
    for dtab in dtabs:
        for entry in dtab:
            entry.dst.map(paths.setdefault)
    for path in paths:
        for namer in namers:
            if len(path) > len(namer.prefix) and path.starts_with(namer.prefix):
                yield path, namer
