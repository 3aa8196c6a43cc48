"""The same name for every request (linkerd: router/http/.../http/StaticIdentifier.scala)."""

from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.model import key
from meshproxy.identifiers.identifier import Identifier
from meshproxy.naming.path import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticIdentifierConfig(IdentifierConfig):
    """The same name for every request."""

    kind: ClassVar[str] = "io.l5d.static"
    only_for: ClassVar[str | None] = "http"
    path: Path = key(doc="The name, below `dstPrefix`.")

    def build(self, prefix: Path) -> Identifier:
        """Returns the identifier; names begin with *prefix*."""
        name = prefix + self.path
        return lambda _: name
