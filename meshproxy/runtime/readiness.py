"""Readiness for traffic: from the first answers of the namers until a stop begins.

A namer is asked in advance for what the dtabs contain: `/#/io.l5d.k8s/default/http` names a
namespace, whose watch begins at the start instead of at the first request. A namer that dtabs name
only by prefix cannot be asked in advance, so it counts as ready.
"""

from collections.abc import Iterator, Sequence

from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Namer
from meshproxy.naming.nametree import NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Close, Pending, State, Var

_PROBE = Path.of("readiness", "readiness", "readiness", "readiness")
"""Stands for the part of a name that a request would supply."""


class Readiness:
    """Waits for the first answers of a process's namers."""

    def __init__(self) -> None:
        self._waiting: dict[str, object] = {}
        self._watches: list[Close] = []
        self._was_ready = False
        self.is_ending = False
        self.is_draining = False
        """An operator wants no new traffic."""

    def why_not(self) -> str | None:
        """Returns why the process is not ready, or None.

        Once ready, it stays so until it stops or is drained.
        """
        if self.is_ending:
            return "ending"
        if self.is_draining:
            return "draining"
        if not self._was_ready and self._waiting:
            return f"waiting for the first answer of {', '.join(self._waiting)}"
        self._was_ready = True
        return None

    def watch(self, namers: Sequence[Namer], dtabs: Sequence[Dtab]) -> None:
        """Asks *namers* for the paths in *dtabs*, in place of those asked before.

        Every answer counts, also that a name is negative or failed.
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
        """Stops asking."""
        self.watch((), ())

    def _follow(self, name: str, found: Activity[NameTree[Path | Bound]]) -> None:
        token = object()
        self._waiting[name] = token

        def take(state: State[NameTree[Path | Bound]]) -> None:
            if not isinstance(state, Pending) and self._waiting.get(name) is token:
                del self._waiting[name]

        self._watches.append(found.observe(take))


def _early(namers: Sequence[Namer], dtabs: Sequence[Dtab]) -> Iterator[tuple[Path, Namer]]:
    """Yields the paths that dtabs lead to, each once, with the namer that handles it."""
    paths: dict[Path, None] = {}
    for dtab in dtabs:
        for entry in dtab:
            entry.dst.map(paths.setdefault)
    for path in paths:
        for namer in namers:
            if len(path) > len(namer.prefix) and path.starts_with(namer.prefix):
                yield path, namer
