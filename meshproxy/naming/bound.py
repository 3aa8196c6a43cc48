"""A name bound to a replica set (finagle: Name.Bound)."""

from dataclasses import dataclass, field
from enum import Enum

from meshproxy.naming.addr import Addr
from meshproxy.naming.path import Path
from meshproxy.var import Var


class ChosenBy(Enum):
    """Who decided where a bound name leads."""

    REQUEST = "request"
    """A host, a port or a dtab that came with the request."""
    NAMER = "namer"
    """A configured namer or transformer."""
    OPERATOR = "operator"
    """The router's own dtab, which contains every segment of the name."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A replica set: its identity, its live address, and the residual part of the name.

    Equality ignores the address.
    """

    id: Path
    addr: Var[Addr] = field(compare=False, repr=False)
    residual: Path = Path()  # noqa: RUF009 - a path never changes
    chosen_by: ChosenBy = ChosenBy.NAMER
    is_steered: bool = False
    """A dtab that came with a request took part."""

    def show(self) -> str:
        """Returns the text of the id, as operators know it."""
        return self.id.show()
