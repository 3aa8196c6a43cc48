"""The first segments of the request target (linkerd: router/http/.../http/PathIdentifier.scala)."""

from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.model import key
from meshproxy.http.message import Request
from meshproxy.identifiers.identifier import Declined, Identifier
from meshproxy.identifiers.remembered import names
from meshproxy.naming.path import Path


class FirstSegments:
    """The first segments of the target's path; *consume* removes them from the target."""

    def __init__(self, prefix: Path, segments: int, consume: bool) -> None:
        self._name = names(prefix)
        self._segments = segments
        self._consume = consume

    def __call__(self, request: Request) -> Path | Declined:
        """Returns the name of *request*."""
        path = request.target.partition(b"?")[0]
        segments = path.rstrip(b"/").split(b"/")[1:]
        if len(segments) < self._segments:
            return Declined("not enough segments in path")
        name = self._name(*segments[: self._segments])
        if self._consume:
            rest = b"/".join(segments[self._segments :])
            slash = b"/" if rest and path.endswith(b"/") else b""
            request.target = b"/" + rest + slash + request.target[len(path) :]
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class PathConfig(IdentifierConfig):
    """The first segments of the request target."""

    kind: ClassVar[str] = "io.l5d.path"
    only_for: ClassVar[str | None] = "http"
    segments: int = key(default=1, minimum=0, doc="How many segments make the name.")
    consume: bool = key(default=False, doc="Remove these segments from the target that is sent on.")

    def build(self, prefix: Path) -> Identifier:
        """Returns the identifier; names begin with *prefix*."""
        return FirstSegments(prefix, self.segments, self.consume)
