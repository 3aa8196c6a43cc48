"""Protects the admin server from web pages, and sets security headers on its own pages.

Any web page can make its visitors' browsers send requests to addresses that only they can reach. A
page whose DNS name is made to resolve to this server (DNS rebinding) could also read the responses.
"""

from collections.abc import Callable, Iterable
from typing import Final

from meshproxy.discovery.hostname import literal
from meshproxy.errors import Forbidden
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.service import Service

_SAFE_METHODS: Final = frozenset({b"GET", b"HEAD"})
_DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}
_BROWSER_FIELDS: Final = frozenset({b"accept-language", b"origin", b"referer"})
"""Fields that browsers send and tools do not; scripts cannot suppress the first of them."""
_BROWSER_PREFIX: Final = b"sec-"
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
    b"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HARDENING: Final = (
    (b"Content-Security-Policy", _POLICY),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"X-Frame-Options", b"DENY"),
    (b"Referrer-Policy", b"same-origin"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Cache-Control", b"no-store"),
)


class SameOrigin:
    """Refuses requests made by a page of another origin (403).

    Host must be an address, `localhost` or one of *names*, since no other name is known to belong
    to this server. A request that *is_for_tools* may have any Host, unless a browser sends it.
    Origins are judged by `Sec-Fetch-Site`, which browsers send to loopback addresses and over TLS,
    or else by `Origin` (W3C Fetch Metadata; RFC 6454 section 7).
    """

    def __init__(self, names: Iterable[str], is_for_tools: Callable[[Request], bool]) -> None:
        self._names = frozenset(name.lower() for name in ("localhost", *names))
        self._is_for_tools = is_for_tools

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves *request*. Raises Forbidden."""
        host = request.headers.get(b"host") or b""
        if not self._knows(host) and (
            _is_of_browser(request.headers) or not self._is_for_tools(request)
        ):
            raise Forbidden(
                f"{host.decode('latin-1')} is not known as a name of the admin server: "
                "use its address or localhost, or add the name to admin.hosts"
            )
        if not _is_of_same_origin(request, host):
            raise Forbidden("a page of another site asked a browser for this")
        return service(request)

    def _knows(self, host: bytes) -> bool:
        """Returns True if *host* leads here whatever DNS says, or is empty, as from old clients."""
        text = host.decode("latin-1").lower()
        name = text[: text.index("]") + 1] if text.startswith("[") else text.partition(":")[0]
        return not name or name.removesuffix(".") in self._names or literal(name) is not None


def harden(request: Request, service: Service[Request, Response]) -> Response:
    """Serves with header fields that prevent a page from being framed, cached or misread."""
    return hardened(service(request))


def hardened(response: Response) -> Response:
    """Returns *response* with those fields, except those that it has already."""
    headers = response.headers
    for name, value in _HARDENING:
        if name.lower() not in headers:
            headers.add(name, value)
    return response


def _is_of_browser(headers: Headers) -> bool:
    return any(
        name in _BROWSER_FIELDS or name.startswith(_BROWSER_PREFIX) for name in headers.names
    )


def _is_of_same_origin(request: Request, host: bytes) -> bool:
    """Returns True if no page made the request, or one of this server; links may be followed."""
    headers = request.headers
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site in {b"same-origin", b"none"} or (
            request.method in _SAFE_METHODS
            and headers.get(b"sec-fetch-mode") == b"navigate"
            and headers.get(b"sec-fetch-dest") == b"document"
        )
    origin = headers.get(b"origin")
    if origin is None:
        return True
    scheme, _, authority = origin.lower().partition(b"://")
    port = _DEFAULT_PORTS.get(scheme)
    return port is not None and authority.removesuffix(port) == host.lower().removesuffix(port)
