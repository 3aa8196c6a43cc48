"""TRACE and OPTIONS that end after some hops (Max-Forwards), and the report of each hop.

RFC 9110 section 7.6.2; linkerd: linkerd/protocol/http/.../DiagnosticTracer.scala,
linkerd/core/.../RouterContextFormatter.scala
"""

from collections.abc import Callable, Sequence
from time import monotonic

from meshproxy.errors import BadRequest
from meshproxy.http.body import Body
from meshproxy.http.framing import BODILESS
from meshproxy.http.message import Request, Response, text_response
from meshproxy.naming.delegation import Route
from meshproxy.service import Service

METHODS = frozenset({b"TRACE", b"OPTIONS"})
"""Methods that use Max-Forwards."""
MAX_BODY = 65_536
"""Bytes; a longer response body is not kept beside the report."""

_MAX_FORWARDS = b"max-forwards"
_ADD_CONTEXT = b"l5d-add-context"
_YES = frozenset({b"true", b"t", b"yes", b"y", b"1"})
_AS_THEY_ARE = BODILESS | {205}


class Diagnostics:
    """Responds to, or passes on, the METHODS for the client of one bound name.

    Args:
        router: the router's label.
        client: the bound name.
        route: how the request's name was resolved to that client.
    """

    def __init__(
        self,
        router: str,
        client: str,
        route: Callable[[Request], Route],
    ) -> None:
        self._router = router
        self._client = client
        self._route = route

    def __call__(
        self,
        request: Request,
        service: Service[Request, Response],
        selected: str,
        addresses: Callable[[], Sequence[str]],
    ) -> Response:
        """Serves by the endpoint *selected* of *addresses*, or responds if Max-Forwards ends.

        Raises BadRequest if Max-Forwards is not a number.
        """
        started = monotonic()
        response = self._forward(request, service)
        context = request.headers.get(_ADD_CONTEXT) or b""
        if request.method != b"TRACE" or context.lower() not in _YES:
            return response
        if response.status >= 200 and response.status not in _AS_THEY_ARE:
            seconds = monotonic() - started
            _append(response, self._report(request, selected, addresses(), seconds))
        return response

    def _forward(self, request: Request, service: Service[Request, Response]) -> Response:
        hops = request.headers.get_all(_MAX_FORWARDS)
        if not hops:
            return service(request)
        if len(hops) > 1 or not hops[0].isdigit() or len(hops[0]) > 19:
            raise BadRequest("Invalid value for Max-Forwards header")
        left = int(hops[0])
        if left == 0:
            return text_response(200, "")
        request.headers.set(b"Max-Forwards", b"%d" % (left - 1))
        try:
            return service(request)
        finally:  # another attempt is not another hop
            request.headers.set(b"Max-Forwards", hops[0])

    def _report(
        self, request: Request, selected: str, addresses: Sequence[str], seconds: float
    ) -> bytes:
        route = self._route(request)
        lines = [
            f"--- Router: {self._router} ---",
            f"request duration: {seconds * 1000:.0f} ms",
            f"service name: {request.dst.show() if request.dst else ''}",
            f"client name: {self._client}",
            f"addresses: [{', '.join(addresses)}]",
            f"selected address: {selected}",
            *([f"egress: {request.egress.show()}"] if request.egress is not None else []),
            "dtab resolution:",
            *(
                f"  {hop.name.show()}" + (f" ({hop.entry.show()})" if hop.entry else "")
                for hop in route
            ),
        ]
        return "".join(f"{line}\n" for line in lines).encode("ascii", "replace")


def _append(response: Response, report: bytes) -> None:
    """Appends *report* to the body, or to a note in its place if it cannot be kept."""
    headers, body = response.headers, response.body
    if not isinstance(body, bytes):
        body = _whole(response, body)
    if body and headers.get(b"content-encoding") is not None:
        body = _note(response)
    headers.remove(b"content-encoding")
    if b"content-type" not in headers.names:
        headers.add(b"Content-Type", b"text/plain")
    response.body = body.strip() + b"\n\n" + report
    headers.set(b"Content-Length", b"%d" % len(response.body))


def _whole(response: Response, body: Body) -> bytes:
    """Returns the whole body if its length is known and small, and a note otherwise."""
    try:
        if body.length is None or body.length > MAX_BODY:
            return _note(response)
        return b"".join(bytes(piece) for piece in body)
    finally:
        body.close()


def _note(response: Response) -> bytes:
    fields = b"\n".join(response.headers.lines)
    status = b"HTTP %d - %b" % (response.status, response.reason)
    return fields + b"\n" + status + b"\nThe content of the response was left out of the report."
