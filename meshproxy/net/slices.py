"""Long work in slices, so that requests are served meanwhile."""

from time import monotonic
from typing import Final

from meshproxy.net.turn import next_turn

SLICE_S: Final = 0.003
"""Work done before others may run; each request on its way waits for it."""


class Slices:
    """Counts the time that one piece of work has had the loop to itself."""

    def __init__(self) -> None:
        self._since = monotonic()

    def rest(self) -> None:
        """Lets others run if the slice is used up; called often, after each small step."""
        if monotonic() - self._since > SLICE_S:
            next_turn()
            self._since = monotonic()
