"""Every error that ends a request, with what the responder, retries and breakers need.

What depends on the kind of an error is a class attribute, so none of them needs a table (linkerd:
linkerd/protocol/http/.../ErrorResponder.scala).
"""

from enum import Enum
from typing import ClassVar


class Phase(Enum):
    """What a request is doing, in the order of its life; the text is meant to follow `while`."""

    REQUEST = "reading or sending the request"
    BIND = "waiting for the name to be bound"
    QUEUE = "waiting in the queue for a connection (hostConnectionPool)"
    CONNECT = "waiting for a connection"
    RESPONSE = "waiting for a response"


class ProxyError(Exception):
    """A request could not be served; the text goes to the client and into `l5d-err`."""

    status: ClassVar[int] = 502
    phase: ClassVar[Phase] = Phase.REQUEST
    """What the request was doing."""
    transient: ClassVar[bool] = False
    """True if another attempt may succeed, so a classifier may retry methods it may repeat."""
    retryable: ClassVar[bool] = False
    """True if nothing was delivered and another attempt may succeed: anyone may send it again."""
    blames_endpoint: ClassVar[bool] = False
    """True if the circuit breaker of the endpoint counts it as a failure."""
    fields: ClassVar[tuple[tuple[bytes, bytes], ...]] = ()
    """Header fields of its response."""
    by_client: ClassVar[bool] = False
    """True if the client caused it."""
    reason: str = "error"
    """Short stable token for the metrics: `failures/<reason>`."""


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
    """The configuration does not allow the request."""

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
    """An Expect value other than 100-continue."""

    by_client = True
    status = 417
    reason = "expectation"


class HeadersTooLarge(ProxyError):
    """The header fields are too many or too long."""

    by_client = True
    status = 431
    reason = "headers_too_large"


class CodingNotImplemented(ProxyError):
    """A well-formed Transfer-Encoding with codings besides `chunked`."""

    by_client = True
    status = 501
    reason = "transfer_coding"


class HttpVersionNotSupported(ProxyError):
    """A well-formed request line of a protocol other than HTTP/1.x."""

    by_client = True
    status = 505
    reason = "http_version"


class LoopDetected(ProxyError):
    """The request would return to a listener of this proxy, or keeps returning."""

    by_client = True
    status = 508
    reason = "loop"


class NoHosts(ProxyError):
    """The name has no endpoints: it is negative, empty, failed, or without addresses."""

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
    """Nothing was tried, since the last connection failed and none was made since (failFast)."""

    blames_endpoint = False
    reason = "failed_fast"


class TlsFailed(ProxyError):
    """TLS was refused by one side; nothing was processed, and another attempt would end alike.

    The certificate cannot be verified or names another host, an alert, or no version in common.
    """

    phase = Phase.CONNECT
    blames_endpoint = True
    reason = "tls"


class WriteFailed(ProxyError):
    """The connection closed before it accepted any of the request."""

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
    """The endpoint closed before the first byte of a response, or before anything was sent."""

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
    """The timeout ended before the name was bound, and before bindingTimeoutMs."""

    phase = Phase.BIND
    blames_endpoint = False
    reason = "timeout_bind"


class TimedOutInQueue(ServiceTimedOut):
    """The timeout ended while every connection was in use (hostConnectionPool.maxSize)."""

    phase = Phase.QUEUE
    blames_endpoint = False
    reason = "timeout_queue"


class TimedOutConnecting(ServiceTimedOut):
    """The timeout ended before the connect timeout."""

    phase = Phase.CONNECT
    blames_endpoint = False
    reason = "timeout_connect"


class DeadlineExceeded(ProxyError):
    """The caller's deadline had passed on arrival, so nobody waits for the response."""

    status = 503
    reason = "deadline"


class NoTunnel(ProxyError):
    """A CONNECT whose name is not bound to an address directly."""

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
    """The client left before its exchange was over, so there is no one to respond to."""

    by_client = True
    reason = "client_gone"
