"""A name that has reached its end (finagle: Name.Bound)."""

from dataclasses import dataclass, field

from meshproxy.naming.addr import Addr
from meshproxy.naming.path import Path
from meshproxy.var import Var


@dataclass(frozen=True, slots=True)
class Bound:
    """A replica set: its identity, its live address, and the part of the name left over.

    Two are equal when id and residual are; clients are shared by id alone.
    """

    id: Path
    addr: Var[Addr] = field(compare=False, repr=False)
    residual: Path = Path()  # noqa: RUF009 - a path never changes

    def show(self) -> str:
        """Return the id's text, by which operators know it."""
        return self.id.show()
