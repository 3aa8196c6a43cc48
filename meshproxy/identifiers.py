"""What a request is called: its logical name, from a header, the method and host, or the target.

An identifier may decline, which lets the next one of the list try; what it raises ends the request
(linkerd: router/http/.../http/{HeaderToken,MethodAndHost,Path}Identifier.scala).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.model import key
from meshproxy.errors import UnidentifiedRequest
from meshproxy.http.authority import canonical
from meshproxy.http.message import Request
from meshproxy.naming.path import Path
from meshproxy.service import bound

_REMEMBERED: Final = 1000
"""Names kept by each identifier; the least recently used one makes room."""


@dataclass(frozen=True, slots=True)
class Declined:
    """The identifier has no name for the request; *reason* is for the client."""

    reason: str


Identifier = Callable[[Request], Path | Declined]
"""May rewrite the request's target; raises ValueError when what it looks at is malformed."""


def first_of(identifiers: Sequence[Identifier]) -> Callable[[Request], Path]:
    """Ask *identifiers* in order; the result raises `UnidentifiedRequest` when no one has a name.

    ValueError when there are none to ask.
    """
    if not identifiers:
        raise ValueError("empty identifier list")

    calls = [bound(identifier) for identifier in identifiers]

    def identify(request: Request) -> Path:
        reason = ""
        for identifier in calls:
            try:
                found = identifier(request)
            except ValueError as error:
                raise _unknown(request, str(error)) from error
            if not isinstance(found, Declined):
                return found
            reason = found.reason
        raise _unknown(request, reason)

    return identify


def _unknown(request: Request, reason: str) -> UnidentifiedRequest:
    line = f"{request.method.decode('latin-1')} {request.target.decode('latin-1')}"
    peer = f", from /{request.peer.remote}" if request.peer else ""
    return UnidentifiedRequest(f'Unknown destination: Request("{line}"{peer}) / {reason}')


def _names(prefix: Path) -> Callable[..., Path]:
    """Names of segments below *prefix*, remembered."""

    @lru_cache(_REMEMBERED)
    def name(*segments: bytes) -> Path:
        return prefix + Path.of(*segments)

    return name


class HeaderToken:
    """The whole value of a header is one segment as it was written; Host is, in its one spelling.

    Raises BadRequest for a Host that is none.
    """

    def __init__(self, prefix: Path, header: str) -> None:
        self._header = header.lower().encode("latin-1", "replace")
        self._absent = absent = Declined(f"{header} header is absent")
        is_host = self._header == b"host"

        @lru_cache(_REMEMBERED)
        def name(line: bytes, scheme: bytes) -> Path | Declined:
            value = line.partition(b":")[2].strip(b" \t")
            if not value:
                return absent
            return prefix + Path.of(canonical(value, scheme) if is_host else value)

        self._name = name

    def __call__(self, request: Request) -> Path | Declined:
        """Name *request*."""
        headers = request.headers
        if self._header not in headers.names:
            return self._absent
        name = self._name
        return name(headers.lines[headers.names.index(self._header)], request.scheme)


class Header:
    """The value of a header is a path. Raises ParseError when it is not."""

    def __init__(self, prefix: Path, header: str) -> None:
        self._header = header.lower().encode("latin-1", "replace")
        self._prefix = prefix
        self._absent = Declined(f"{header} header is absent")

    def __call__(self, request: Request) -> Path | Declined:
        """Name *request*."""
        value = request.headers.get(self._header)
        return self._prefix + Path.parse(value.decode("latin-1")) if value else self._absent


class MethodAndHost:
    """HTTP version, method and host in its one spelling and lower case, perhaps also the path."""

    def __init__(self, prefix: Path, uri_in_name: bool) -> None:
        self._name = _names(prefix)
        self._uri_in_name = uri_in_name

    def __call__(self, request: Request) -> Path | Declined:
        """Name *request*; HTTP/1.0 has no host in its name."""
        version = request.version
        if version == b"1.1":
            host = request.headers.get(b"host")
            if not host:
                return Declined("HTTP/1.1 request missing hostname")
            name = self._name(version, request.method, canonical(host, request.scheme).lower())
        elif version == b"1.0":
            name = self._name(version, request.method)
        else:
            return Declined(f"Unknown HTTP version {version.decode('latin-1')}")
        return name + Path.parse(_path_of(request).decode("latin-1")) if self._uri_in_name else name


class FirstSegments:
    """The first segments of the target's path; *consume* takes them off the target."""

    def __init__(self, prefix: Path, segments: int, consume: bool) -> None:
        self._name = _names(prefix)
        self._segments = segments
        self._consume = consume

    def __call__(self, request: Request) -> Path | Declined:
        """Name *request*."""
        path = _path_of(request)
        segments = path.rstrip(b"/").split(b"/")[1:]
        if len(segments) < self._segments:
            return Declined("not enough segments in path")
        name = self._name(*segments[: self._segments])
        if self._consume:
            rest = b"/".join(segments[self._segments :])
            slash = b"/" if rest and path.endswith(b"/") else b""
            request.target = b"/" + rest + slash + request.target[len(path) :]
        return name


def _path_of(request: Request) -> bytes:
    return request.target.partition(b"?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderTokenConfig(IdentifierConfig):
    """The value of a header, as one segment."""

    kind: ClassVar[str] = "io.l5d.header.token"
    header: str = key(default="Host", doc="Name of the header.")

    def build(self, prefix: Path) -> Identifier:
        """The identifier; names begin with *prefix*."""
        return HeaderToken(prefix, self.header)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderConfig(IdentifierConfig):
    """The value of a header, as a path."""

    kind: ClassVar[str] = "io.l5d.header"
    header: str = key(default="l5d-name", doc="Name of the header.")

    def build(self, prefix: Path) -> Identifier:
        """The identifier; names begin with *prefix*."""
        return Header(prefix, self.header)


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAndHostConfig(IdentifierConfig):
    """HTTP version, method and host."""

    kind: ClassVar[str] = "io.l5d.methodAndHost"
    http_uri_in_dst: bool = key(default=False, doc="Append the path of the request target.")

    def build(self, prefix: Path) -> Identifier:
        """The identifier; names begin with *prefix*."""
        return MethodAndHost(prefix, self.http_uri_in_dst)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathConfig(IdentifierConfig):
    """The first segments of the request target."""

    kind: ClassVar[str] = "io.l5d.path"
    segments: int = key(default=1, minimum=0, doc="How many segments make the name.")
    consume: bool = key(default=False, doc="Take these segments off the target that is sent on.")

    def build(self, prefix: Path) -> Identifier:
        """The identifier; names begin with *prefix*."""
        return FirstSegments(prefix, self.segments, self.consume)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticIdentifierConfig(IdentifierConfig):
    """The same name for every request."""

    kind: ClassVar[str] = "io.l5d.static"
    path: Path = key(doc="The name, below `dstPrefix`.")

    def build(self, prefix: Path) -> Identifier:
        """The identifier; names begin with *prefix*."""
        name = prefix + self.path
        return lambda _: name
