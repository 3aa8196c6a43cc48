"""The server's edge for errors: turns whatever was raised into a response.

linkerd: linkerd/protocol/http/.../ErrorResponder.scala. An unknown exception is a fault of the
proxy: a traceback in the log, a count, and a 500 for the client.
"""

import logging
from typing import ClassVar

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.http.errors import ErrorResponse, error_response, forget_frames
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.log_once import LogOnce
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service

_log = logging.getLogger(__name__)


class InternalError(ProxyError):
    """The proxy's own code failed."""

    status: ClassVar[int] = 500
    reason = "internal"


class ErrorResponder:
    """Turns errors into responses; re-raises ClientGone, since nobody is left to respond to."""

    def __init__(self, limits: Limits, metrics: Tree) -> None:
        self._limits = limits
        self._failures = metrics.scope("failures")
        self._log_once = LogOnce(_log)

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves, turning errors into responses. Raises ClientGone."""
        try:
            return service(request)
        except ClientGone:
            raise
        except ProxyError as error:
            try:
                return self.respond(request, error)
            finally:
                forget_frames(error)
        except Exception:  # noqa: BLE001 - a client waits for a response
            self._log_once.exception("a request failed inside the proxy")
            return self.respond(request, InternalError("internal error"))

    def respond(self, request: Request, error: ProxyError) -> Response:
        """Counts *error* and returns what its client gets."""
        del request
        return self.answer(error)

    def answer(self, error: ProxyError) -> ErrorResponse:
        """Counts *error* and returns its response."""
        self._failures.counter(error.reason).incr()
        return error_response(error, self._limits)
