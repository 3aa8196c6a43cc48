"""Every error that ends a request, with the facts its two edges need.

What depends on the kind of an error is a class attribute, so no edge needs a table: not the error
responder (linkerd: linkerd/protocol/http/.../ErrorResponder.scala), not retries, not the breaker.
"""

from enum import Enum
from typing import ClassVar


class Phase(Enum):
    """What a request is doing, in the order of its life; the value reads well after `while`."""

    REQUEST = "reading or sending the request"
    BIND = "waiting for the name to be bound"
    QUEUE = "waiting in the queue for a connection (hostConnectionPool)"
    CONNECT = "waiting for a connection"
    RESPONSE = "waiting for a response"


class ProxyError(Exception):
    """A request could not be served; its text goes to the client and into `l5d-err`."""

    status: ClassVar[int] = 502
    phase: ClassVar[Phase] = Phase.REQUEST
    """What the request was doing."""
    transient: ClassVar[bool] = False
    """Another attempt may end better, so a classifier may allow it for methods it may repeat."""
    retryable: ClassVar[bool] = False
    """Nothing was delivered and another attempt may end better: anyone may send it again."""
    blames_endpoint: ClassVar[bool] = False
    """It is a failure for the circuit breaker of the endpoint."""
    fields: ClassVar[tuple[tuple[bytes, bytes], ...]] = ()
    """Header fields of its response."""
    by_client: ClassVar[bool] = False
    """The client is to blame."""
    reason: ClassVar[str] = "error"
    """Short stable token: `failures/<reason>` in the metrics."""


class BadRequest(ProxyError):
    """The client's message breaks the rules of HTTP."""

    by_client = True
    status = 400
    reason = "bad_request"


class UnidentifiedRequest(ProxyError):
    """No identifier gave the request a name."""

    by_client = True
    status = 400
    reason = "unidentified"


class BadDtabHeader(ProxyError):
    """A per-request delegation table does not parse or is too large."""

    by_client = True
    status = 400
    reason = "bad_dtab"


class MaxCallDepthExceeded(ProxyError):
    """Too many proxies are named in Via: a loop."""

    by_client = True
    status = 400
    reason = "max_call_depth"


class Forbidden(ProxyError):
    """The configuration does not allow what was asked for."""

    by_client = True
    status = 403
    reason = "forbidden"


class RequestTimedOut(ProxyError):
    """The client did not finish sending its request in time."""

    by_client = True
    status = 408
    reason = "client_timeout"


class BodyTooLarge(ProxyError):
    """The request body is over the configured limit."""

    by_client = True
    status = 413
    reason = "body_too_large"


class TargetTooLong(ProxyError):
    """The request line is over the configured limit."""

    by_client = True
    status = 414
    reason = "target_too_long"


class ExpectationFailed(ProxyError):
    """An Expect other than 100-continue."""

    by_client = True
    status = 417
    reason = "expectation"


class HeadersTooLarge(ProxyError):
    """The header fields are too many or too long."""

    by_client = True
    status = 431
    reason = "headers_too_large"


class CodingNotImplemented(ProxyError):
    """A well-formed Transfer-Encoding with more than `chunked` in it."""

    by_client = True
    status = 501
    reason = "transfer_coding"


class HttpVersionNotSupported(ProxyError):
    """A well-formed request line of a protocol other than HTTP/1.x."""

    by_client = True
    status = 505
    reason = "http_version"


class LoopDetected(ProxyError):
    """The request would come back to a listener of this proxy, or keeps coming back."""

    by_client = True
    status = 508
    reason = "loop"


class NoHosts(ProxyError):
    """The name leads nowhere: negative, empty, failed, or without addresses."""

    phase = Phase.BIND
    reason = "no_hosts"


class BindingFailed(ProxyError):
    """Delegation or discovery ended in an error."""

    phase = Phase.BIND
    reason = "binding"


class BindingTimedOut(ProxyError):
    """The name did not resolve within bindingTimeoutMs."""

    phase = Phase.BIND
    status = 503
    reason = "binding_timeout"


class ConnectFailed(ProxyError):
    """No connection to the endpoint: refused, unreachable, cut or too slow."""

    phase = Phase.CONNECT
    transient = True
    retryable = True
    blames_endpoint = True
    reason = "connect"


class FailedFast(ConnectFailed):
    """A connection failed before, and none has been made since, so nothing was tried (failFast)."""

    blames_endpoint = False
    reason = "failed_fast"


class TlsFailed(ProxyError):
    """One side refuses the other in TLS; nothing was processed, and nothing else would be again.

    A certificate that cannot be verified or names another, an alert, no version in common.
    """

    phase = Phase.CONNECT
    blames_endpoint = True
    reason = "tls"


class WriteFailed(ProxyError):
    """The connection closed before any of the request was accepted."""

    transient = True
    retryable = True
    blames_endpoint = True
    reason = "write"


class ConnectionClosed(ProxyError):
    """The endpoint closed the connection before a complete response head."""

    phase = Phase.RESPONSE
    transient = True
    blames_endpoint = True
    reason = "closed"


class NoResponse(ConnectionClosed):
    """It closed before one byte of a response; `nothing_sent` if nothing was sent."""

    nothing_sent = False


class BadResponse(ProxyError):
    """The endpoint's message breaks the rules of HTTP."""

    phase = Phase.RESPONSE
    transient = True
    blames_endpoint = True
    reason = "bad_response"


class ServiceTimedOut(ProxyError):
    """requestAttemptTimeoutMs, totalTimeoutMs or the ceiling on the first byte ran out."""

    phase = Phase.RESPONSE
    status = 503
    transient = True
    blames_endpoint = True
    reason = "timeout"


class TimedOutBinding(ServiceTimedOut):
    """That time ran out before the name was bound; bindingTimeoutMs had not."""

    phase = Phase.BIND
    blames_endpoint = False
    reason = "timeout_bind"


class TimedOutInQueue(ServiceTimedOut):
    """That time ran out while other requests had every connection (hostConnectionPool.maxSize)."""

    phase = Phase.QUEUE
    blames_endpoint = False
    reason = "timeout_queue"


class TimedOutConnecting(ServiceTimedOut):
    """That time ran out before connecting had had its own."""

    phase = Phase.CONNECT
    blames_endpoint = False
    reason = "timeout_connect"


class DeadlineExceeded(ProxyError):
    """Nobody waits for the answer any more: the caller's deadline had passed on arrival."""

    status = 503
    reason = "deadline"


class NoTunnel(ProxyError):
    """A CONNECT whose name is not bound to the address itself."""

    by_client = True
    reason = "no_tunnel"


class PoolFull(ProxyError):
    """Every connection of the endpoint is in use and its queue is full."""

    phase = Phase.QUEUE
    status = 503
    retryable = True
    reason = "pool_full"


class NoDescriptor(PoolFull):
    """The process may open no more sockets."""

    phase = Phase.CONNECT
    reason = "no_descriptor"


class ClientGone(ProxyError):
    """The client left before its exchange was over; nobody is there to be told."""

    by_client = True
    reason = "client_gone"
