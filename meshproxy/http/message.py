"""Request and Response: the messages that services and filters pass along.

The request carries its own context (deadline, dtab, names), which saves an allocation. A response
owns its body; closing the body ends the exchange.
"""

import enum
import math
from collections.abc import Callable, Mapping
from time import monotonic
from typing import NamedTuple, Protocol

from meshproxy.http.body import Body, RequestBody
from meshproxy.http.deadline import Deadline
from meshproxy.http.headers import Headers, of
from meshproxy.http.phases import Attempt
from meshproxy.http.trace import Trace
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path


class ResponseClass(enum.Enum):
    """What a result means for retries, breakers and statistics."""

    SUCCESS = "success"
    FAILURE = "failure"
    RETRYABLE = "retryable_failure"


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


class Classifier(Protocol):
    """Decides if a result is a success, a failure, or a failure that may be retried."""

    @property
    def judges_from(self) -> int:
        """The lowest status of the heads that it has to see; lower ones are successes."""
        ...

    @property
    def may_retry_at_end(self) -> bool:
        """True if the end of a response may make it a failure that may be retried."""
        ...

    def response(
        self, method: bytes, status: int, headers: Headers, replayable: bool
    ) -> ResponseClass | None:
        """Returns the class of a response head; None if the end decides."""
        ...

    def end(self, trailers: Headers | None) -> ResponseClass:
        """Returns the class of a response that came to its end, its head having decided nothing."""
        ...

    def error(self, method: bytes, error: BaseException, replayable: bool) -> ResponseClass:
        """Returns the class of an attempt without a response."""
        ...


class Certificate(NamedTuple):
    """A client's verified certificate, as the ssl module reads it."""

    der: bytes
    subject: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Parts of the name in the certificate's order, each with one or more pairs."""
    names: tuple[tuple[str, str], ...] = ()
    """Alternative names: pairs of kind (`DNS`, `URI`, ...) and name."""


class Peer(Protocol):
    """The two ends of the connection that a request came in on."""

    remote: str
    local: str

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that the client presented in TLS, if it had to."""
        ...


class Ending:
    """The end of a body that is still arriving, which settles how its response turned out.

    Code that judges or counts a response asks `Response.ending` first; if it is open, it waits.
    """

    __slots__ = ("_callbacks", "decides", "has_come", "is_settled")

    def __init__(self, *, is_settled: bool = False) -> None:
        self.is_settled = is_settled
        """True if the response is judged already: by its head (a tunnel) or at its end."""
        self.decides = False
        """True if the classifier waits for it, as the head has decided nothing."""
        self.has_come = False
        """True once the body is complete, cut short or given up."""
        self._callbacks: list[Callable[[bool], None]] = []

    def then(self, callback: Callable[[bool], None]) -> None:
        """Calls *callback* at the end, after the callbacks registered before.

        Its argument is True if the endpoint cut the body short, stalled or violated the protocol.
        """
        if self.has_come:
            raise RuntimeError("the end has come")
        self._callbacks.append(callback)

    def come(self, broken: bool) -> None:
        """Records the end of the body; called once."""
        self.has_come = self.is_settled = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(broken)


class Request:
    """One request on its way from a client to at most one endpoint at a time.

    The code that writes each slot, in the order of a request's way (a test compares both):

    | slot | written by |
    | --- | --- |
    | `method`, `version` | the server that read it |
    | `headers` | the server; filters change them in place, `filters/injected_headers` sets others |
    | `target` | the server; `identifiers` where an identifier consumes a part of the path |
    | `scheme`, `body`, `peer` | the server; `admin/asked` for a request that is not sent |
    | `trace` | `filters/trace` |
    | `local_dtab` | `filters/context` |
    | `ctx_deadline` | `filters/context`, `filters/timeouts` |
    | `deadline` | `filters/timeouts` |
    | `dst` | `router/binding`, `router/egress` |
    | `classifier`, `earlier`, `retries`, `tried` | `filters/retries` |
    | `egress` | `router/egress` |
    | `bound_id` | `filters/forwarding` |
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
