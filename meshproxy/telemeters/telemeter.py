"""What every exporter is to its process (linkerd: telemetry/core/.../Telemeter.scala)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import Filter


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


class Telemeter:
    """An exporter that is built, started once and closed once; a kind overrides what it needs."""

    def start(self) -> None:
        """Begins to export in the background."""

    def close(self) -> None:
        """Exports what is left and stops; takes two seconds at most."""

    def pages(self) -> Mapping[str, Callable[[], Page]]:
        """Returns its pages on the admin server by path."""
        return {}

    def filters(self, router: str, server: str) -> Sequence[Filter[Request, Response]]:
        """Returns what it puts around the server named *server* of the router *router*."""
        del router, server
        return ()

    def take(self) -> list[Any]:
        """Returns, as JSON has it, what it has kept since the last call, and keeps it no longer.

        Asked of a kind with `in_workers` only; the supervisor's `merge` gets it.
        """
        return []

    def merge(self, kept: Sequence[Any]) -> None:
        """Adds what another process's `take` returned."""
