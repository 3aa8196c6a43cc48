"""How clients of HTTP/2 hear of errors: a response, a reset stream, or a status of gRPC.

linkerd: linkerd/protocol/h2/.../{ErrorReseter,LinkerdHeaders}.scala, finagle/h2/.../
Netty4ServerDispatcher.scala
"""

from typing import Final

from meshproxy.errors import (
    BadDtabHeader,
    ConnectionClosed,
    DeadlineExceeded,
    LoopDetected,
    MaxCallDepthExceeded,
    Phase,
    ProxyError,
    ServiceTimedOut,
    UnidentifiedRequest,
    WriteFailed,
)
from meshproxy.filters.admission import Overloaded
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.h2 import grpc
from meshproxy.h2.grpc import GrpcStatus
from meshproxy.h2.reset import StreamReset, passed_on
from meshproxy.http import l5d
from meshproxy.http.headers import of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree

_REFUSED: Final = (UnidentifiedRequest, Overloaded)
"""What was not processed and has no response in Linkerd."""
_STATUSES: Final = (
    ((UnidentifiedRequest, Overloaded, WriteFailed, ConnectionClosed), GrpcStatus.UNAVAILABLE),
    ((ServiceTimedOut, DeadlineExceeded), GrpcStatus.DEADLINE_EXCEEDED),
    ((MaxCallDepthExceeded, LoopDetected, BadDtabHeader), GrpcStatus.INVALID_ARGUMENT),
)
_BEFORE_ENDPOINT: Final = frozenset({Phase.BIND, Phase.QUEUE, Phase.CONNECT})
_FORBIDDEN: Final = 403


class StreamErrors(ErrorResponder):
    """Turns errors into responses, or into StreamReset for those that have none.

    With *grpc_status*, the caller of a gRPC call gets its status, in a response without trailers.
    """

    def __init__(self, limits: Limits, metrics: Tree, *, grpc_status: bool = True) -> None:
        super().__init__(limits, metrics)
        self._grpc_status = grpc_status

    def respond(self, request: Request, error: ProxyError) -> Response:
        """Counts *error* and returns what its client gets, which is a response for HTTP/1.

        Raises StreamReset, for the server's statistics to count, if that is a reset: what the
        endpoint did, or REFUSED_STREAM.
        """
        if request.version != b"2":
            return self.answer(error)
        if isinstance(error, StreamReset):
            raise StreamReset(str(error), passed_on(error.code), error.reason) from error
        if self._grpc_status and grpc.is_grpc(request.headers):
            return call_failed(self.answer(error), error)
        if isinstance(error, _REFUSED):
            code = grpc.reset_of_status(status_of(error))
            raise StreamReset(str(error), code, error.reason) from error
        return self.answer(error)


def status_of(error: ProxyError) -> GrpcStatus:
    """Returns the status of a call that ended with *error* before the head of a response."""
    for kinds, status in _STATUSES:
        if isinstance(error, kinds):
            return status
    if error.phase in _BEFORE_ENDPOINT:
        return GrpcStatus.UNAVAILABLE
    if error.status == _FORBIDDEN:
        return GrpcStatus.PERMISSION_DENIED
    return GrpcStatus.INTERNAL


def call_failed(response: Response, error: ProxyError) -> Response:
    """Makes *response* to *error* what gRPC expects: status and message in a head alone."""
    text = (response.headers.get(l5d.ERR), response.headers.get(l5d.RETRYABLE))
    response.status, response.reason, response.body = 200, b"OK", b""
    response.headers = of(
        (b"Content-Type", grpc.CONTENT_TYPE),
        (grpc.STATUS, b"%d" % status_of(error)),
        (grpc.MESSAGE, grpc.encode_message(str(error))),
        *(
            (name, value)
            for name, value in zip((l5d.ERR, l5d.RETRYABLE), text, strict=True)
            if value is not None
        ),
    )
    return response
