"""Rewrites Host for endpoints that expect another one than the client wrote.

linkerd: linkerd/protocol/http/.../RewriteHostHeader.scala. Host is restored after each attempt,
since another attempt may use a client with other rules.
"""

from meshproxy.http.authority import canonical
from meshproxy.http.headers import line, of
from meshproxy.http.message import Request, Response
from meshproxy.service import Service

_POINTING = (b"location", b"refresh")


class RewriteHost:
    """Makes *authority* the Host, and restores the client's in response fields that point to it.

    Raises ValueError for an authority that is not allowed in a header.
    """

    def __init__(self, authority: str) -> None:
        self._authority = authority.encode("latin-1")
        (self._line,) = of((b"Host", self._authority)).lines

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves under the other name."""
        original = request.headers.get(b"host")
        response = _serve_as(self._line, request, service)
        if original:
            for name in _POINTING:
                if name in response.headers.names:
                    self._point_back(response, name, original)
        return response

    def _point_back(self, response: Response, name: bytes, original: bytes) -> None:
        values = response.headers.get_all(name)
        response.headers.remove(name)
        for value in values:
            response.headers.add(name.title(), value.replace(self._authority, original))


class DropPort:
    """Removes *port* from Host, however it is spelled."""

    def __init__(self, port: int) -> None:
        self._ending = b":%d" % port

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves, without the port if Host names it."""
        host = request.headers.get(b"host")
        spelled = canonical(host) if host else b""
        if not spelled.endswith(self._ending):
            return service(request)
        return _serve_as(line(b"Host", spelled.removesuffix(self._ending)), request, service)


def _serve_as(line: bytes, request: Request, service: Service[Request, Response]) -> Response:
    """Serves with *line* in place of Host, which every request has at this point."""
    headers = request.headers
    at = headers.names.index(b"host")
    before, headers.lines[at] = headers.lines[at], line
    try:
        return service(request)
    finally:
        headers.lines[headers.names.index(b"host")] = before
