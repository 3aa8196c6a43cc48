"""A stream that was reset, as an error of its request (RFC 9113 sections 5.4.2 and 8.7).

Raised to a service's caller before the head of a response. After it, a reset is the broken end of a
body, see `http.message.Ending`.
"""

from meshproxy.errors import ClientGone, Phase, ProxyError
from meshproxy.h2.errors import ErrorCode

PASSED_ON = frozenset(
    {
        ErrorCode.NO_ERROR,
        ErrorCode.PROTOCOL_ERROR,
        ErrorCode.INTERNAL_ERROR,
        ErrorCode.STREAM_CLOSED,
        ErrorCode.REFUSED_STREAM,
        ErrorCode.CANCEL,
        ErrorCode.ENHANCE_YOUR_CALM,
    }
)
"""Codes that are passed on as they are; any other becomes INTERNAL_ERROR."""


def passed_on(code: int) -> int:
    """Returns the code for the other side of the proxy of a stream that was reset with *code*."""
    return code if code in PASSED_ON else ErrorCode.INTERNAL_ERROR


class StreamReset(ProxyError):
    """The endpoint reset the stream of an attempt; for a client, its stream is to be reset.

    *code* is what RST_STREAM carries, or is to carry. A stream that is to be reset has the *reason*
    of the error that ended its request.
    """

    phase = Phase.RESPONSE
    transient = True
    blames_endpoint = True
    reason = "reset"
    code: int = ErrorCode.INTERNAL_ERROR

    def __init__(self, text: str, code: int | None = None, reason: str | None = None) -> None:
        super().__init__(text)
        if code is not None:
            self.code = code
        if reason is not None:
            self.reason = reason


class StreamRefused(StreamReset):
    """The endpoint has never looked at the request: REFUSED_STREAM, so anyone may send it again."""

    phase = Phase.REQUEST
    retryable = True
    reason = "refused_stream"
    code = ErrorCode.REFUSED_STREAM


class GoneAway(StreamRefused):
    """The endpoint closes the connection and has not looked at this stream (GOAWAY)."""

    blames_endpoint = False
    reason = "goaway"


class ClientReset(ClientGone):
    """The client reset its stream; *code* goes to the endpoint too."""

    def __init__(self, text: str, code: int = ErrorCode.CANCEL) -> None:
        super().__init__(text)
        self.code = code
