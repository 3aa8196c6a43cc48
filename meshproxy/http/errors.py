"""The response for an error, and the end of that (linkerd: .../http/ErrorResponder.scala)."""

import re

from meshproxy.errors import ProxyError
from meshproxy.http import l5d
from meshproxy.http.limits import Limits
from meshproxy.http.message import Response, text_response

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class ErrorResponse(Response):
    """The response to an error, with details for the logs that clients must not see."""

    __slots__ = ("error", "text")

    def __init__(self, error: ProxyError, text: str, shown: Response) -> None:
        super().__init__(shown.status, shown.reason, shown.headers, shown.body)
        self.error = error.reason
        self.text = text
        self.failed = error.status >= 500


def error_response(error: ProxyError, limits: Limits) -> ErrorResponse:
    """Returns a complete response with `l5d-err`, cut to the limits, without control characters."""
    text = _UNPRINTABLE.sub("?", str(error)) or type(error).__name__
    cut = text.encode("utf-8", "replace")[: limits.error_bytes].decode("utf-8", "ignore")
    shown = text_response(error.status, cut)
    response = ErrorResponse(error, text, shown)
    response.headers.add(l5d.ERR, l5d.encode_error(text, limits.header_bytes))
    if error.retryable:
        response.headers.add(l5d.RETRYABLE, b"true")
    for name, value in error.fields:
        response.headers.add(name, value)
    return response


def forget_frames(error: BaseException | None) -> None:
    """Drops the tracebacks of an error that has been handled, and the errors that led to it.

    Their frames refer to the request, and what failed there keeps the error: a circle, which only
    the garbage collector would free.
    """
    while error is not None:
        error.__traceback__ = None
        before = error.__cause__ or error.__context__
        error.__cause__ = error.__context__ = None
        error = before
