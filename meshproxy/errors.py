"""Every error that ends a request, with the facts its two edges need.

The status and the metric token are class attributes, so the error responder
(linkerd: linkerd/protocol/http/.../ErrorResponder.scala) needs no table.
"""

from typing import ClassVar


class ProxyError(Exception):
    """A request could not be served; its text goes to the client and into `l5d-err`."""

    status: ClassVar[int] = 502
    retryable: ClassVar[bool] = False
    """Nothing of the request was delivered, so anyone may send it again."""
    fields: ClassVar[tuple[tuple[bytes, bytes], ...]] = ()
    """Header fields of its response."""
    by_client: ClassVar[bool] = False
    """The client is to blame; no endpoint is worse for it."""
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


class NoHosts(ProxyError):
    """The name leads nowhere: negative, empty, failed, or without addresses."""

    reason = "no_hosts"


class BindingFailed(ProxyError):
    """Delegation or discovery ended in an error."""

    reason = "binding"


class BindingTimedOut(ProxyError):
    """The name did not resolve within bindingTimeoutMs."""

    status = 503
    reason = "binding_timeout"


class ConnectFailed(ProxyError):
    """No connection to the endpoint: refused, unreachable or too slow."""

    retryable = True
    reason = "connect"


class FailedFast(ConnectFailed):
    """A connection failed before, and none has been made since, so nothing was tried (failFast)."""

    reason = "failed_fast"


class TlsFailed(ProxyError):
    """The TLS handshake or the verification of the certificate failed; nothing was sent."""

    reason = "tls"


class WriteFailed(ProxyError):
    """The connection closed before any of the request was accepted."""

    retryable = True
    reason = "write"


class ConnectionClosed(ProxyError):
    """The endpoint closed the connection before a complete response head."""

    reason = "closed"


class Silent(ConnectionClosed):
    """It closed before one byte of a response; `untouched` if nothing was sent."""

    untouched = False


class BadResponse(ProxyError):
    """The endpoint's message breaks the rules of HTTP."""

    reason = "bad_response"


class ServiceTimedOut(ProxyError):
    """requestAttemptTimeoutMs, totalTimeoutMs or the ceiling on the first byte ran out."""

    status = 503
    reason = "timeout"


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

    status = 503
    retryable = True
    reason = "pool_full"


class NoDescriptor(PoolFull):
    """The process may open no more sockets; no endpoint is worse for it."""

    reason = "no_descriptor"


class ClientGone(ProxyError):
    """The client left before its exchange was over; nobody is there to be told."""

    by_client = True
    reason = "client_gone"
