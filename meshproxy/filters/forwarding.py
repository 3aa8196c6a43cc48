"""What every proxy does to messages that it forwards: Via, hop-by-hop fields, the name served.

RFC 9110 section 7.6; linkerd: router/http/.../StripHopByHopHeadersFilter.scala
"""

from meshproxy.http import hop, l5d, via
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response
from meshproxy.naming.path import Path
from meshproxy.service import Service

_SUCCESS, _FAILURE = b"1.0", b"0.0"
_SUCCEEDED = {
    version: of((b"Via", own), (l5d.SUCCESS_CLASS, _SUCCESS)).lines
    for version, own in via.OWN.items()
}
"""The lines that are added to a successful response that needs nothing else."""

_ANSWERED = hop.EDITED[b"1.1"] | {l5d.SUCCESS_CLASS}
_ANSWERED_H2 = hop.EDITED[b"2"] | {l5d.SUCCESS_CLASS}
_REQUEST_NAMES = (b"via", l5d.DST_SERVICE)
_RESPONSE_NAMES = (b"via", l5d.SUCCESS_CLASS)


class Forward:
    """Strips headers and then adds some, in both directions; one for each name.

    `l5d-dst-service` tells endpoints the name, and `l5d-success-class` tells callers the result of
    the classifier; both replace what the other side sent. Where the end of an HTTP/2 response
    decides that, it is in the trailers, if there are some.
    """

    def __init__(self, name: Path) -> None:
        self._name = name.show().encode("ascii")
        self._lines = {
            version: of((b"Via", own), (l5d.DST_SERVICE, self._name)).lines
            for version, own in via.OWN.items()
        }

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the headers of the next hop."""
        headers = request.headers
        names = headers.names
        if request.is_plain or hop.EDITED[request.version].isdisjoint(names):
            names += _REQUEST_NAMES
            headers.lines += self._lines[request.version]
        else:
            hop.strip_request(headers, request.version)
            via.append(headers, request.version)
            headers.write(l5d.DST_SERVICE, self._name)
        if b"host" not in names:
            headers.add(b"Host", b"")
        response = service(request)
        headers = response.headers
        if response.version == b"2":
            if (
                response.ending is None
                and not response.failed
                and _ANSWERED_H2.isdisjoint(headers.names)
            ):
                headers.names += _RESPONSE_NAMES
                headers.lines += _SUCCEEDED[b"2"]
            else:
                _answer_stream(response)
        elif not response.failed and _ANSWERED.isdisjoint(headers.names):
            headers.names += _RESPONSE_NAMES
            headers.lines += _SUCCEEDED[response.version]
        else:
            hop.strip(headers, may_upgrade=response.status == 101)
            via.append(headers, response.version)
            headers.remove(l5d.SUCCESS_CLASS)
            headers.write(l5d.SUCCESS_CLASS, _FAILURE if response.failed else _SUCCESS)
        return response


def _answer_stream(response: Response) -> None:
    """Writes the fields of the next hop into a response of HTTP/2, or into its trailers."""
    headers, ending = response.headers, response.ending
    if not _ANSWERED_H2.isdisjoint(headers.names):
        headers.remove_where((_ANSWERED_H2 - {b"via"}).__contains__)
    via.append(headers, b"2")
    if response.failed or ending is None or ending.is_settled:
        headers.write(l5d.SUCCESS_CLASS, _FAILURE if response.failed else _SUCCESS)
        return
    body = response.body

    def ended(broken: bool) -> None:
        trailers = None if broken or isinstance(body, bytes) else body.trailers
        if trailers is not None:
            trailers.remove(l5d.SUCCESS_CLASS)
            trailers.write(l5d.SUCCESS_CLASS, _FAILURE if response.failed else _SUCCESS)

    ending.then(ended)


class DstClient:
    """Tells the endpoint the bound name that led to it; one for each id and residual."""

    def __init__(self, bound_id: Path, residual: Path) -> None:
        self._id = bound_id
        told = of((l5d.DST_CLIENT, bound_id.show().encode("ascii")))
        if residual:
            told.write(l5d.DST_RESIDUAL, residual.show().encode("ascii"))
        self._names, self._lines = told.names, told.lines

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the headers of this attempt in place of an earlier one's."""
        headers = request.headers
        if request.bound_id is not None:
            headers.remove(l5d.DST_CLIENT)
            headers.remove(l5d.DST_RESIDUAL)
        request.bound_id = self._id
        headers.names += self._names
        headers.lines += self._lines
        return service(request)
