"""Names that stay bound after a reload although no request has asked for them since.

So what a discovery system last said about them is not lost while it cannot be asked.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from meshproxy.discovery.watching.api import addresses_of
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Interpreter
from meshproxy.naming.path import Path
from meshproxy.net.turn import next_turn
from meshproxy.var import Close

Name: TypeAlias = tuple[Path, Dtab]
"""A logical name, and the table that came with its request."""

_PER_TURN: Final = 20
"""Names bound before other greenlets get their turn."""


class KeptNames:
    """Keeps names bound by *interpreter* and *dtab*, and their addresses known, until `release`.

    At most *capacity*, or any number if that is 0.
    """

    def __init__(self, interpreter: Interpreter, dtab: Dtab, capacity: int) -> None:
        self._interpreter = interpreter
        self._dtab = dtab
        self._capacity = capacity
        self._stops: dict[Name, Close] = {}
        self._is_closed = False

    def __iter__(self) -> Iterator[Name]:
        return iter(tuple(self._stops))

    def keep(self, names: Iterable[Name]) -> None:
        """Binds *names* and follows them and their addresses; others run in between."""
        for number, name in enumerate(dict.fromkeys(names), start=1):
            if self._is_closed or (self._capacity and len(self._stops) >= self._capacity):
                return
            path, local = name
            bound = self._interpreter.bind(self._dtab + local, path)
            self._stops[name] = addresses_of(bound).observe(_ignore)
            if number % _PER_TURN == 0:
                next_turn()

    def release(self) -> None:
        """Lets all go; those that requests have asked for since are followed by these."""
        stops, self._stops = self._stops, {}
        for stop in stops.values():
            stop()

    def close(self) -> None:
        """Lets all go, and keeps none from now on."""
        self._is_closed = True
        self.release()


def _ignore(_state: object) -> None:
    """Observes only so that the name is followed."""
