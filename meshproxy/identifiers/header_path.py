"""The first segments of a header that has a path, `:path` if no other is named.

linkerd: linkerd/protocol/h2/.../HeaderPathIdentifier.scala
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.http.message import Request
from meshproxy.identifiers.header import is_header, lower
from meshproxy.identifiers.identifier import Declined, Identifier
from meshproxy.identifiers.remembered import names
from meshproxy.naming.path import Path

_PATH: Final = ":path"


class HeaderPath:
    """The first *segments* of the path in a header, all if None; without query or final slash."""

    def __init__(self, prefix: Path, header: str, segments: int | None) -> None:
        self._name = names(prefix)
        self._header = None if header.lower() == _PATH else lower(header)
        self._segments = segments
        self._least = segments or 1
        self._declined = Declined(f"not enough segments in {header}")

    def __call__(self, request: Request) -> Path | Declined:
        """Returns the name of *request*."""
        header = self._header
        value = request.target if header is None else request.headers.get(header) or b""
        path = value.partition(b"?")[0].removesuffix(b"/")
        segments = path.removeprefix(b"/").split(b"/") if path else []
        if len(segments) < self._least or b"" in segments:
            return self._declined
        return self._name(*segments[: self._segments])


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderPathConfig(IdentifierConfig):
    """The first segments of a header that has a path."""

    kind: ClassVar[str] = "io.l5d.header.path"
    only_for: ClassVar[str | None] = "h2"
    header: str = key(default=_PATH, doc="Name of the header.")
    segments: int | None = key(
        default=None, minimum=1, quoted=True, doc="How many segments make the name; all when unset."
    )

    def check(self) -> Iterable[Problem]:
        """Yields a problem for a pseudo-header other than `:path` and `:authority`."""
        if self.header.lower() != _PATH and not is_header(self.header):
            yield Problem(f"{self.header!r} is no header, write `:path`, or a header", "header")

    def build(self, prefix: Path) -> Identifier:
        """Returns the identifier; names begin with *prefix*."""
        return HeaderPath(prefix, self.header, self.segments)
