"""The interface of an exporter (linkerd: telemetry/core/.../Telemeter.scala)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from meshproxy.http.message import Request, Response
from meshproxy.http.trace import Recorder
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from meshproxy.service import Filter


@dataclass(frozen=True, slots=True)
class TelemeterDeps:
    """What a telemeter may use."""

    metrics: Tree
    """The root of the tree."""
    is_late: bool = False
    """True if the process has been counting already: report only what is counted from now on."""
    recent: RecentRequests = field(default_factory=RecentRequests)
    """The latest requests of this process."""


class Page(NamedTuple):
    """A page of a telemeter on the admin server."""

    content_type: str
    body: bytes


class Telemeter:
    """An exporter: built, started once and closed once; kinds override what they need."""

    def start(self) -> None:
        """Begins to export in the background."""

    def close(self) -> None:
        """Exports what is left and stops, within two seconds."""

    def pages(self) -> Mapping[str, Callable[[str], Page]]:
        """Returns its pages on the admin server by path, made for the Host that was asked."""
        return {}

    def filters(self, router: str, server: str) -> Sequence[Filter[Request, Response]]:
        """Returns its filters for the server named *server* of the router *router*."""
        del router, server
        return ()

    def recorder(self) -> Recorder | None:
        """Returns the recorder of requests' spans, if it has one."""
        return None
