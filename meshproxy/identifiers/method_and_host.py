"""HTTP version, method and host (linkerd: router/http/.../http/MethodAndHostIdentifier.scala)."""

from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.model import key
from meshproxy.http.authority import canonical
from meshproxy.http.message import Request
from meshproxy.identifiers.identifier import Declined, Identifier
from meshproxy.identifiers.remembered import names
from meshproxy.naming.path import Path


class MethodAndHost:
    """HTTP version, method and canonical host in lower case, with or without the path."""

    def __init__(self, prefix: Path, uri_in_name: bool) -> None:
        self._name = names(prefix)
        self._uri_in_name = uri_in_name

    def __call__(self, request: Request) -> Path | Declined:
        """Returns the name of *request*; HTTP/1.0 has no host in its name."""
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
        if not self._uri_in_name:
            return name
        return name + Path.parse(request.target.partition(b"?")[0].decode("latin-1"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodAndHostConfig(IdentifierConfig):
    """HTTP version, method and host."""

    kind: ClassVar[str] = "io.l5d.methodAndHost"
    only_for: ClassVar[str | None] = "http"
    http_uri_in_dst: bool = key(default=False, doc="Append the path of the request target.")

    def build(self, prefix: Path) -> Identifier:
        """Returns the identifier; names begin with *prefix*."""
        return MethodAndHost(prefix, self.http_uri_in_dst)
