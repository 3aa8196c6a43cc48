"""The rewriting namers under `/$/`: they turn a name into another name.

linkerd: namer/core/src/main/scala/io/buoyant/{hostport,http}.scala. Each function gets the path
after the namer's own name and returns the new one, None if the name is negative.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from meshproxy.naming.path import Path

Rewriter: TypeAlias = Callable[[Path], Path | None]
"""Returns the new path, or None. Raises ValueError if it would have an empty segment."""

_MAX_PORT_LENGTH: Final = 63
_PORT: Final = re.compile(rb"[a-z0-9][-a-z0-9]*")
_IPV6_AND_PORT: Final = re.compile(rb"\[([0-9A-Fa-f:.]+)\]:([^:]+)")
_HOST: Final = re.compile(rb"[A-Za-z0-9.:_-]+|\[[0-9A-Fa-f:.]+\](?::[A-Za-z0-9-]+)?")
_METHOD: Final = re.compile(rb"[A-Z]+")


def _host_and_port(segment: bytes) -> tuple[bytes, bytes] | None:
    if bracketed := _IPV6_AND_PORT.fullmatch(segment):
        host, port = bracketed.groups()
    else:
        parts = segment.rstrip(b":").split(b":")
        if len(parts) != 2:
            return None
        host, port = parts
    if len(port) > _MAX_PORT_LENGTH or not _PORT.fullmatch(port):
        return None
    return host, port


def _hostport(path: Path) -> Path | None:
    found = _host_and_port(path[0])
    return None if found is None else Path.of(*found) + path.drop(1)


def _porthost(path: Path) -> Path | None:
    found = _host_and_port(path[0])
    return None if found is None else Path.of(*reversed(found)) + path.drop(1)


def _any_method(path: Path) -> Path | None:
    return path.drop(1) if _METHOD.fullmatch(path[0]) else None


def _any_host(path: Path) -> Path | None:
    return path.drop(1) if _HOST.fullmatch(path[0]) else None


def _domain_to_path(path: Path) -> Path | None:
    host = path[0]
    if not _HOST.fullmatch(host):
        return None
    if host.startswith(b"["):
        return path
    return Path(reversed(host.removesuffix(b".").split(b"."))) + path.drop(1)


def _subdomain(domain: bytes, path: Path) -> Path | None:
    if not (_HOST.fullmatch(domain) and path and _HOST.fullmatch(path[0])):
        return None
    host = path[0]
    colon = host.find(b":")
    if colon > 0:
        host = host[:colon]
    sub = host.removesuffix(b"." + domain)
    return Path.of(sub) + path.drop(1) if sub and sub != host else None


def _subdomain_of(path: Path) -> Path | None:
    return _subdomain(path[0], path.drop(1))


def _subdomain_of_prefixed(path: Path) -> Path | None:
    found = _subdomain(path[0], path.drop(2))
    return None if found is None else path.drop(1).take(1) + found


def _prefixed(rewrite: Rewriter) -> Rewriter:
    """Lets the first segment pass and rewrite what follows it."""

    def apply(path: Path) -> Path | None:
        rest = path.drop(1)
        found = rewrite(rest) if rest else None
        return None if found is None else path.take(1) + found

    return apply


REWRITERS: Final[Mapping[bytes, Rewriter]] = {
    b"io.buoyant.hostportPfx": _prefixed(_hostport),
    b"io.buoyant.porthostPfx": _prefixed(_porthost),
    b"io.buoyant.http.anyMethod": _any_method,
    b"io.buoyant.http.anyMethodPfx": _prefixed(_any_method),
    b"io.buoyant.http.anyHost": _any_host,
    b"io.buoyant.http.anyHostPfx": _prefixed(_any_host),
    b"io.buoyant.http.subdomainOf": _subdomain_of,
    b"io.buoyant.http.subdomainOfPfx": _subdomain_of_prefixed,
    b"io.buoyant.http.domainToPath": _domain_to_path,
    b"io.buoyant.http.domainToPathPfx": _prefixed(_domain_to_path),
}
