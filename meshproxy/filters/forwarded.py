"""Tells endpoints where a request came from: `Forwarded`, and the time of arrival.

RFC 7239; linkerd: router/http/.../AddForwardedHeader.scala, router/core/.../
ForwardedHeaderLabeler.scala, router/http/.../TimestampHeaderFilter.scala
"""

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import ClassVar

from meshproxy.config.bases import LabelerConfig
from meshproxy.config.decode import key
from meshproxy.http import hop
from meshproxy.http.headers import TOKEN
from meshproxy.http.message import Request, Response
from meshproxy.http.peer import Peer
from meshproxy.service import Service

UNKNOWN = "unknown"
_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LABEL_LENGTH = 6
_NOT_QUOTABLE = re.compile(r"[^\x20-\x7e]")

Labeler = Callable[[Peer, str], str]
"""Returns the label of one end of a connection, given the connection and that `host:port`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IpConfig(LabelerConfig):
    """The address, `192.0.2.43`."""

    kind: ClassVar[str] = "ip"

    def build(self, router: str) -> Labeler:
        """Returns the labeler; the *router*'s label does not matter to it."""
        del router
        return lambda _, address: _host(address)


@dataclass(frozen=True, slots=True, kw_only=True)
class IpPortConfig(LabelerConfig):
    """Address and port, `"192.0.2.43:8080"`."""

    kind: ClassVar[str] = "ip:port"

    def build(self, router: str) -> Labeler:
        """Returns the labeler; the *router*'s label does not matter to it."""
        del router

        def label(_: Peer, address: str) -> str:
            host = _host(address)
            return host if host is UNKNOWN else f"{host}:{address.rpartition(':')[2]}"

        return label


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRandomConfig(LabelerConfig):
    """Six letters and digits, new for each request."""

    kind: ClassVar[str] = "requestRandom"

    def build(self, router: str) -> Labeler:
        """Returns the labeler; the *router*'s label does not matter to it."""
        del router
        return lambda _, __: _obfuscated(secrets.randbits(64))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionRandomConfig(LabelerConfig):
    """Six letters and digits, the same for all requests of a connection."""

    kind: ClassVar[str] = "connectionRandom"

    def build(self, router: str) -> Labeler:
        """Returns the labeler: a digest of the connection's ends, with a secret key."""
        del router
        secret = secrets.token_bytes(32)

        def label(peer: Peer, _: str) -> str:
            ends = f"{peer.remote} {peer.local}".encode()
            digest = hashlib.blake2b(ends, key=secret, digest_size=8).digest()
            return _obfuscated(int.from_bytes(digest, "big"))

        return label


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterLabelConfig(LabelerConfig):
    """The router's label after a `_`."""

    kind: ClassVar[str] = "router"

    def build(self, router: str) -> Labeler:
        """Returns the labeler of *router*."""
        return lambda _, __: f"_{router}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticLabelerConfig(LabelerConfig):
    """A fixed text, after a `_` unless it begins with one."""

    kind: ClassVar[str] = "static"

    label: str = key(doc="The text.")

    def build(self, router: str) -> Labeler:
        """Returns the labeler; the *router*'s label does not matter to it."""
        del router
        text = self.label if self.label.startswith("_") else f"_{self.label}"
        return lambda _, __: text


class AddForwarded:
    """Adds `Forwarded` after the existing ones; *secure* if the server's clients speak TLS.

    Hop-by-hop fields are removed first, since the client's Connection could name this field.
    """

    def __init__(self, by: Labeler, for_: Labeler, *, secure: bool = False) -> None:
        self._by = by
        self._for = for_
        self._secure = secure

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the field added."""
        peer = request.peer
        hop.strip_request(request.headers, request.version)
        if peer is not None:
            pairs = [
                f"by={quoted(self._by(peer, peer.local))}",
                f"for={quoted(self._for(peer, peer.remote))}",
            ]
            if host := request.headers.get(b"host"):
                name = "authority" if request.version == b"2" else "host"  # as Linkerd's routers
                pairs.append(f"{name}={quoted(host.decode('latin-1'))}")
            if scheme := b"https" if self._secure else request.scheme:
                pairs.append(f"proto={scheme.decode('ascii')}")
            request.headers.add(b"Forwarded", ";".join(pairs).encode("ascii"))
        return service(request)


class AddXForwardedFor:
    """Appends the client's address to `X-Forwarded-For`, and makes one field of all there are.

    Hop-by-hop fields are removed first, as for `AddForwarded`. The last address is what this
    proxy has seen; those before it are what the client says.
    """

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the address appended."""
        hop.strip_request(request.headers, request.version)
        if request.peer is not None:
            seen = request.peer.remote.rpartition(":")[0].strip("[]").encode("ascii")
            said = [value for value in request.headers.get_all(b"x-forwarded-for") if value]
            request.headers.set(b"X-Forwarded-For", b", ".join([*said, seen]))
        return service(request)


class AddTimestamp:
    """Adds the time of arrival, in whole milliseconds since 1970, as the header *name*.

    Hop-by-hop fields are removed first, as for `AddForwarded`.
    """

    def __init__(self, name: bytes, now: Callable[[], float] = time.time) -> None:
        self._name = name
        self._now = now

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the field added to those of the same name."""
        hop.strip_request(request.headers, request.version)
        request.headers.add(self._name, b"%d" % (self._now() * 1000))
        return service(request)


def quoted(text: str) -> str:
    """Returns *text* as a value of RFC 7239: a token unchanged, else a quoted string in ASCII."""
    if TOKEN(text.encode("utf-8")):
        return text
    safe = _NOT_QUOTABLE.sub("?", text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{safe}"'


def _host(address: str) -> str:
    """Returns the host of `host:port`, IPv6 in brackets; UNKNOWN for a wildcard or no address."""
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        parsed = ip_address(host)
    except ValueError:
        return UNKNOWN
    if parsed.is_unspecified:
        return UNKNOWN
    return f"[{parsed}]" if parsed.version == 6 else str(parsed)


def _obfuscated(number: int) -> str:
    """Returns an obfuscated identifier (RFC 7239 section 6.3) of six letters and digits."""
    letters = []
    for _ in range(_LABEL_LENGTH):
        number, letter = divmod(number, len(_ALPHANUMERIC))
        letters.append(_ALPHANUMERIC[letter])
    return "_" + "".join(letters)
