"""A name that has reached its end (finagle: Name.Bound)."""

from dataclasses import dataclass, field
from enum import Enum

from meshproxy.naming.addr import Addr
from meshproxy.naming.path import Path
from meshproxy.var import Var


class ChosenBy(Enum):
    """Who chose where a bound name leads."""

    REQUEST = "request"
    """A host, a port or a dtab that came with the request."""
    NAMER = "namer"
    """A configured namer or transformer."""
    OPERATOR = "operator"
    """Every segment of the name is written in the router's own dtab."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A replica set: its identity, its live address, and the part of the name left over.

    Two are equal when they differ in the address at most.
    """

    id: Path
    addr: Var[Addr] = field(compare=False, repr=False)
    residual: Path = Path()  # noqa: RUF009 - a path never changes
    chosen_by: ChosenBy = ChosenBy.NAMER

    def show(self) -> str:
        """Return the id's text, by which operators know it."""
        return self.id.show()
