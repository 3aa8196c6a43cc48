"""How names of one router came to their clients, or why they came to none."""

from collections.abc import Iterator
from typing import Final

from meshproxy.http.memo import Memo
from meshproxy.http.message import Request
from meshproxy.naming.delegation import Route, dead_ends, route_to
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Explainer, Interpreter
from meshproxy.naming.path import Path
from meshproxy.var import Ok

_REMEMBERED: Final = 1000
_MOST_ENDS: Final = 10
"""Ends that an error tells of."""


class Routes:
    """Asks *interpreter*, if it can tell its steps, about names under *dtab*."""

    def __init__(self, interpreter: Interpreter, dtab: Dtab) -> None:
        self._interpreter = interpreter
        self._dtab = dtab
        self._names: Memo[tuple[Path, Dtab | None, Path], tuple[str, ...]] = Memo(_REMEMBERED)
        self._ends: Memo[tuple[Path, Dtab], str] = Memo(_REMEMBERED)

    def route(self, request: Request, bound_id: Path) -> Route:
        """Returns how *request* came to *bound_id*; () if that cannot be told."""
        if request.dst is None or not isinstance(self._interpreter, Explainer):
            return ()
        dtab = self._dtab + (request.local_dtab or Dtab())
        state = self._interpreter.delegate(dtab, request.dst).sample()
        return route_to(bound_id, state.value.root) if isinstance(state, Ok) else ()

    def names(self, request: Request) -> tuple[str, ...]:
        """Returns the names of *request* from the logical one to the bound one."""
        dst, bound_id = request.dst, request.bound_id
        if dst is None or bound_id is None:
            return () if dst is None else (dst.show(),)
        key = dst, request.local_dtab, bound_id
        return self._names.get(key) or self._names.keep(key, self._shown(request, dst, bound_id))

    def forget(self) -> None:
        """Asks anew from now on, as a name is bound to something else."""
        self._names.clear()
        self._ends.clear()

    def why_nowhere(self, local: Dtab, path: Path) -> str:
        """Returns a line for each end of *path*, whose way is shown too; "" if nobody can tell.

        *local* comes after the router's own table.
        """
        found = self._ends.get((path, local))
        if found is None:
            found = self._ends.keep((path, local), self._ends_of(local, path))
        return found

    def _ends_of(self, local: Dtab, path: Path) -> str:
        if not isinstance(self._interpreter, Explainer):
            return ""
        state = self._interpreter.delegate(self._dtab + local, path).sample()
        if not isinstance(state, Ok):
            return ""
        ends = dead_ends(state.value.root)
        more = f"  and {len(ends) - _MOST_ENDS} more\n" if len(ends) > _MOST_ENDS else ""
        return "".join(f"  {end.show()}\n" for end in ends[:_MOST_ENDS]) + more

    def _shown(self, request: Request, dst: Path, bound_id: Path) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._each(request, dst, bound_id)))

    def _each(self, request: Request, dst: Path, bound_id: Path) -> Iterator[str]:
        yield dst.show()
        for hop in self.route(request, bound_id):
            yield hop.name.show()
        yield bound_id.show()
