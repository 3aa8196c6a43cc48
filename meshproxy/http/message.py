"""Request and Response: what services and filters pass along.

The request carries its own context (deadline, dtab, names) instead of a separate object: one
allocation less for each request. A response owns its body; closing the body ends the exchange.
"""

import enum
import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

from meshproxy.http.body import Body, RequestBody
from meshproxy.http.deadline import Deadline
from meshproxy.http.headers import Headers, of
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path


class ResponseClass(enum.Enum):
    """What a result means to retries, breakers and statistics."""

    SUCCESS = "success"
    FAILURE = "failure"
    RETRYABLE = "retryable_failure"


class Classifier(Protocol):
    """Whether a result counts as a success, a failure, or one that may be sent again."""

    def response(
        self, method: bytes, status: int, headers: Headers, replayable: bool
    ) -> ResponseClass:
        """The class of a response head."""
        ...

    def error(self, method: bytes, error: BaseException, replayable: bool) -> ResponseClass:
        """The class of an attempt without a response."""
        ...


class Certificate(NamedTuple):
    """A client's certificate, verified, as the ssl module reads it."""

    der: bytes
    subject: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Parts of the name in the certificate's order, each of one or more pairs."""
    names: tuple[tuple[str, str], ...] = ()
    """Alternative names: pairs of kind (`DNS`, `URI`, ...) and name."""


class Peer(Protocol):
    """The two ends of the connection a request came by."""

    remote: str
    local: str

    @property
    def certificate(self) -> Certificate | None:
        """What the client showed in TLS, if it had to show one."""
        ...


class Ending:
    """The end of a body that is still coming, which settles how its response turned out.

    Whoever judges or counts a response asks `Response.ending` first: what that leaves open it does
    when the end has come, once.
    """

    __slots__ = ("_callbacks", "_has_come", "is_settled")

    def __init__(self, *, is_settled: bool = False) -> None:
        self.is_settled = is_settled
        """The response is judged already, by its head (a tunnel) or because the end has come."""
        self._has_come = False
        self._callbacks: list[Callable[[bool], None]] = []

    def then(self, callback: Callable[[bool], None]) -> None:
        """Calls *callback* at the end, after those that asked before.

        It gets True if the endpoint cut the body short, stalled or broke the rules.
        """
        if self._has_come:
            raise RuntimeError("the end has come")
        self._callbacks.append(callback)

    def come(self, broken: bool) -> None:
        """The body has ended; called once."""
        self._has_come = self.is_settled = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(broken)


class Request:
    """One request on its way from a client to at most one endpoint at a time.

    Who writes which slot, in the order of its way (a test holds the code to this table):

    | slot | written by |
    | --- | --- |
    | `method`, `version`, `headers` | the server that read it; filters change `headers` in place |
    | `target` | the server; `identifiers` where an identifier consumes a part of the path |
    | `scheme`, `body`, `peer` | the server |
    | `local_dtab` | `filters/context` |
    | `ctx_deadline` | `filters/context`, `filters/timeouts` |
    | `deadline` | `filters/timeouts` |
    | `dst` | `router/binding` |
    | `classifier`, `retries`, `tried` | `filters/retries` |
    | `bound_id` | `filters/forwarding` |
    | `endpoint` | `client/endpoint`, `client/fail_fast` |
    """

    __slots__ = (
        "body",
        "bound_id",
        "classifier",
        "ctx_deadline",
        "deadline",
        "dst",
        "endpoint",
        "headers",
        "local_dtab",
        "method",
        "peer",
        "retries",
        "scheme",
        "target",
        "tried",
        "version",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        version: bytes,
        headers: Headers,
        body: RequestBody | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.headers = headers
        self.body = body
        self.deadline = math.inf
        """Monotonic second at which the client's patience ends, all attempts included."""
        self.ctx_deadline: Deadline | None = None
        """By the wall clock: what endpoints are told, each timeout of a whole request included."""
        self.local_dtab: Dtab | None = None
        self.dst: Path | None = None
        self.bound_id: Path | None = None
        self.endpoint = ""
        self.tried: tuple[str, ...] = ()
        """Endpoints that took nothing of this request: try others first."""
        self.classifier: Classifier | None = None
        """What the service's configuration calls a failure; breakers ask it too."""
        self.peer: Peer | None = None
        self.scheme = b""
        """That of the target, if it came in absolute form; lower case. With `https`, a request is
        named with port 443 if it names none."""
        self.retries = 0
        """Attempts after the first, by the classifier or because nothing was delivered."""


class Response:
    """One response; `body` is bytes when all of it is at hand."""

    __slots__ = (
        "body",
        "ending",
        "failed",
        "headers",
        "in_chunks",
        "reason",
        "retryable",
        "status",
        "version",
    )

    def __init__(
        self,
        status: int,
        reason: bytes,
        headers: Headers,
        body: bytes | Body = b"",
        version: bytes = b"1.1",
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.version = version
        """As the endpoint sent it; the client gets HTTP/1.1."""
        self.in_chunks = False
        """Bytes for a body came in chunks and go on so: by chunks, or until the connection ends."""
        self.ending: Ending | None = None
        """None once all of the body is at hand: then the head is the last word."""
        self.failed = False
        """The response classifier's verdict, set by the attempt that received it.

        It is final when `ending` is None or settled; until then a broken body may make it True.
        """
        self.retryable = False

    def close(self) -> None:
        """Give up the body, and with it the connection it comes by."""
        if not isinstance(self.body, bytes):
            self.body.close()


REASONS = {
    200: b"OK",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    413: b"Content Too Large",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    508: b"Loop Detected",
}


def text_response(status: int, text: str, content_type: bytes = b"text/plain") -> Response:
    """A complete response the proxy makes itself."""
    body = text.encode("utf-8", "replace")
    headers = of((b"Content-Type", content_type), (b"Content-Length", b"%d" % len(body)))
    return Response(status, REASONS.get(status, b""), headers, body)
