"""The value of a header, as one segment or as a path.

linkerd: router/http/.../http/{HeaderToken,Header}Identifier.scala
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.http.authority import canonical
from meshproxy.http.headers import value_of
from meshproxy.http.message import Request
from meshproxy.identifiers.identifier import Declined, Identifier
from meshproxy.identifiers.remembered import REMEMBERED
from meshproxy.naming.path import Path

_AUTHORITY: Final = ":authority"


def lower(header: str) -> bytes:
    """Returns the lower-case name under which requests have *header*: Host for `:authority`."""
    name = header.lower()
    return b"host" if name == _AUTHORITY else name.encode("latin-1", "replace")


def is_header(header: str) -> bool:
    """Returns True unless *header* is a pseudo-header that is not a header here."""
    return not header.startswith(":") or header.lower() == _AUTHORITY


class HeaderToken:
    """The whole value of a header as one segment, unchanged; Host in its canonical spelling.

    Raises BadRequest for an invalid Host.
    """

    def __init__(self, prefix: Path, header: str) -> None:
        self._header = lower(header)
        self._absent = absent = Declined(f"{header} header is absent")
        is_host = self._header == b"host"

        @lru_cache(REMEMBERED)
        def name(line: bytes, scheme: bytes) -> Path | Declined:
            value = value_of(line)
            if not value:
                return absent
            return prefix + Path.of(canonical(value, scheme) if is_host else value)

        self._name = name

    def __call__(self, request: Request) -> Path | Declined:
        """Returns the name of *request*."""
        headers = request.headers
        if self._header not in headers.names:
            return self._absent
        name = self._name
        return name(headers.lines[headers.names.index(self._header)], request.scheme)


class Header:
    """The value of a header as a path. Raises ParseError if it is not one."""

    def __init__(self, prefix: Path, header: str) -> None:
        self._header = lower(header)
        self._prefix = prefix
        self._absent = Declined(f"{header} header is absent")

    def __call__(self, request: Request) -> Path | Declined:
        """Returns the name of *request*."""
        value = request.headers.get(self._header)
        return self._prefix + Path.parse(value.decode("latin-1")) if value else self._absent


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderTokenConfig(IdentifierConfig):
    """The value of a header, as one segment."""

    kind: ClassVar[str] = "io.l5d.header.token"
    header: str = key(
        default="Host", doc="Name of the header; `:authority` of HTTP/2 is the same as `Host`."
    )

    def check(self) -> Iterable[Problem]:
        """Yields a problem for a pseudo-header other than `:authority`."""
        if not is_header(self.header):
            yield Problem(
                f"{self.header!r} is no header, write `:authority`, or a header", "header"
            )

    def build(self, prefix: Path) -> Identifier:
        """Returns the identifier; names begin with *prefix*."""
        return HeaderToken(prefix, self.header)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderConfig(IdentifierConfig):
    """The value of a header, as a path."""

    kind: ClassVar[str] = "io.l5d.header"
    only_for: ClassVar[str | None] = "http"
    header: str = key(default="l5d-name", doc="Name of the header.")

    def build(self, prefix: Path) -> Identifier:
        """Returns the identifier; names begin with *prefix*."""
        return Header(prefix, self.header)
