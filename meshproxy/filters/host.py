"""What endpoints read in Host, where that is not what the client wrote.

linkerd: linkerd/protocol/http/.../RewriteHostHeader.scala. Host is put back after each attempt,
for another one may go to a client that wants it otherwise.
"""

from meshproxy.http.authority import canonical
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response
from meshproxy.service import Service

_POINTING = (b"location", b"refresh")


class RewriteHost:
    """Makes *authority* the Host, and the client's Host of it where a response points to it.

    Raises ValueError for an authority that cannot stand in a header.
    """

    def __init__(self, authority: str) -> None:
        self._authority = authority.encode("latin-1")
        self._line = of((b"Host", self._authority)).lines[0]

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve under the other name."""
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
    """Leaves *port* out of the Host, however it is spelled there."""

    def __init__(self, port: int) -> None:
        self._ending = b":%d" % port

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve, without the port if Host names it."""
        host = request.headers.get(b"host")
        spelled = canonical(host) if host else b""
        if not spelled.endswith(self._ending):
            return service(request)
        return _serve_as(b"Host: " + spelled.removesuffix(self._ending), request, service)


def _serve_as(line: bytes, request: Request, service: Service[Request, Response]) -> Response:
    """Serve with *line* in the place of Host, which every request has by now."""
    headers = request.headers
    at = headers.names.index(b"host")
    before, headers.lines[at] = headers.lines[at], line
    try:
        return service(request)
    finally:
        headers.lines[headers.names.index(b"host")] = before
