"""Request and Response: the messages that services and filters pass along.

The request carries its own context (deadline, dtab, names), which saves an allocation. A response
owns its body; closing the body ends the exchange.
"""

import math
from collections.abc import Mapping
from time import monotonic
from typing import Protocol

from meshproxy.http.body import Body, RequestBody
from meshproxy.http.classifier import Classifier
from meshproxy.http.deadline import Deadline
from meshproxy.http.ending import Ending
from meshproxy.http.headers import Headers, of
from meshproxy.http.peer import Peer
from meshproxy.http.phases import Attempt
from meshproxy.http.trace import Trace
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path


class EgressDecision(Protocol):
    """What egress rules have decided about a request, for people to read."""

    @property
    def decision(self) -> str:
        """Returns `allow`, `deny` or `limit`."""
        ...

    @property
    def rule(self) -> str | None:
        """Returns the rule that decided; None for the class of an address, and a loop."""
        ...

    @property
    def reported(self) -> tuple[str, ...]:
        """Returns the rules that would have denied it."""
        ...

    @property
    def caller(self) -> str:
        """Returns who sent it: a name of the certificate, else the address."""
        ...

    def show(self) -> str:
        """Returns all of it as people read it."""
        ...


class Informed(Protocol):
    """A client that takes informational responses before the final one."""

    def inform(self, status: int, headers: Headers) -> None:
        """Passes one on, which may change; returns at once, and raises nothing."""


class Request:
    """One request on its way from a client to at most one endpoint at a time.

    The code that writes each slot, in the order of a request's way (a test compares both):

    | slot | written by |
    | --- | --- |
    | `method` | the server that read it |
    | `version`, `body` | the server; `filters/grpc_web` sets others for what is inside it |
    | `headers` | the server; filters change them in place, `filters/injected_headers` sets others |
    | `target` | the server; `identifiers` where an identifier consumes a part of the path |
    | `scheme`, `peer` | the server; `admin/asked` for a request that is not sent |
    | `is_plain` | `filters/context` |
    | `trace` | `filters/trace` |
    | `local_dtab` | `filters/context` |
    | `ctx_deadline` | `filters/context`, `filters/timeouts` |
    | `deadline` | `filters/timeouts` |
    | `dst` | `router/binding`, `router/egress` |
    | `classifier`, `earlier`, `retries`, `tried` | `filters/retries` |
    | `egress` | `router/egress` |
    | `bound_id` | `filters/forwarding` |
    | `informed` | `server/h2/call` |
    | `endpoint` | `client/endpoint`, `client/fail_fast` |
    | `phases` | `http/phases` |
    """

    __slots__ = (
        "body",
        "bound_id",
        "classifier",
        "ctx_deadline",
        "deadline",
        "dst",
        "earlier",
        "egress",
        "endpoint",
        "headers",
        "informed",
        "is_plain",
        "local_dtab",
        "method",
        "peer",
        "phases",
        "retries",
        "scheme",
        "target",
        "trace",
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
        self.is_plain = False
        """True if it came without any field that the proxy reads, or edits as it forwards it."""
        self.deadline = math.inf
        """Monotonic second at which the total timeout ends, all attempts included."""
        self.ctx_deadline: Deadline | None = None
        """Wall-clock deadline passed to endpoints; includes every timeout of a whole request."""
        self.local_dtab: Dtab | None = None
        self.dst: Path | None = None
        self.egress: EgressDecision | None = None
        """None if the router has no egress rules."""
        self.bound_id: Path | None = None
        self.endpoint = ""
        self.tried: tuple[str, ...] = ()
        """Endpoints that accepted nothing of this request, so others are tried first."""
        self.classifier: Classifier | None = None
        """Decides what this service counts as a failure; breakers use it too."""
        self.peer: Peer | None = None
        self.scheme = b""
        """Scheme of an absolute target, in lower case; with `https`, no port means 443."""
        self.trace: Trace | None = None
        self.retries = 0
        """Attempts after the first, by the classifier or because nothing was delivered."""
        self.earlier: tuple[Attempt, ...] = ()
        """All attempts but the last one."""
        self.phases: Mapping[str, float] | None = None
        """Seconds by what it waited for, see `meshproxy.http.phases`; None if nothing."""
        self.informed: Informed | None = None
        """None if the client gets no informational responses, as over HTTP/1.1."""

    def inform(self, status: int, headers: Headers) -> None:
        """Tells the client of an informational response (RFC 9110 section 15.2), if it may be."""
        if self.informed is not None:
            self.informed.inform(status, headers)


class Response:
    """One response; `body` is bytes if it is complete."""

    __slots__ = (
        "arrived",
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
        self.arrived = monotonic()
        """Monotonic second at which its head was there to be passed on."""
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.version = version
        """As sent by the endpoint; the client gets HTTP/1.1."""
        self.in_chunks = False
        """True if the body came chunked: it is sent chunked too, or until close."""
        self.ending: Ending | None = None
        """None once the whole body is buffered, with its trailers: then nothing is awaited."""
        self.failed = False
        """The classifier's verdict, set by the attempt that received the response. It is final if
        `ending` is None or settled; until then a broken body may make it True."""
        self.retryable = False

    def close(self) -> None:
        """Abandons the body, and with it the connection that it comes in on."""
        if not isinstance(self.body, bytes):
            self.body.close()


IDEMPOTENT = frozenset({b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"TRACE"})
"""Methods of requests that may be sent twice (RFC 9110 section 9.2.2)."""
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
    429: b"Too Many Requests",
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
    """Returns a complete response that the proxy itself makes."""
    body = text.encode("utf-8", "replace")
    headers = of((b"Content-Type", content_type), (b"Content-Length", b"%d" % len(body)))
    return Response(status, REASONS.get(status, b""), headers, body)
