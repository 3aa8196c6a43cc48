"""What every exporter is to its process (linkerd: telemetry/core/.../Telemeter.scala)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from meshproxy.metrics.tree import Tree


@dataclass(frozen=True, slots=True)
class TelemeterDeps:
    """What a telemeter may use."""

    metrics: Tree
    """The root of the tree."""
    is_late: bool = False
    """It joins a process that has been counting for a while; what was before is not news."""


class Page(NamedTuple):
    """What a telemeter shows on the admin server."""

    content_type: str
    body: bytes


class Telemeter(Protocol):
    """An exporter that is built, started once and closed once."""

    def start(self) -> None:
        """Begin to export in the background."""

    def close(self) -> None:
        """Export what is left and stop; takes two seconds at most."""

    def pages(self) -> Mapping[str, Callable[[], Page]]:
        """Return its pages on the admin server by path."""
