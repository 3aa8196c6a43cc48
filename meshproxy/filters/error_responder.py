"""The server's edge for errors: whatever was raised below becomes a response.

linkerd: linkerd/protocol/http/.../ErrorResponder.scala. Unknown exceptions are faults of the
proxy: a traceback in the log, a count, and a 500 for the client.
"""

import logging
from typing import ClassVar

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.http.errors import error_response
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service

_log = logging.getLogger(__name__)
_MAX_REPORTED = 100


class InternalError(ProxyError):
    """The proxy's own code failed."""

    status: ClassVar[int] = 500
    reason: ClassVar[str] = "internal"


class ErrorResponder:
    """Answers errors, except that nobody is there to be answered."""

    def __init__(self, limits: Limits, metrics: Tree) -> None:
        self._limits = limits
        self._failures = metrics.scope("failures")
        self._reported: set[object] = set()

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serve, or answer the error. Raises ClientGone."""
        try:
            return service(request)
        except ClientGone:
            raise
        except ProxyError as error:
            return self.answer(error)
        except Exception as error:  # noqa: BLE001 - one of the three places: a client waits for an answer
            self._report(error)
            return self.answer(InternalError("internal error"))

    def _report(self, error: Exception) -> None:
        """Log a traceback once for each place it comes from (100 places), not for each request."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        key = (type(error), place and (place.tb_frame.f_code, place.tb_lineno))
        if key not in self._reported and len(self._reported) < _MAX_REPORTED:
            self._reported.add(key)
            _log.error("a request failed inside the proxy", exc_info=error)

    def answer(self, error: ProxyError) -> Response:
        """Count *error* and make its response."""
        self._failures.counter(error.reason).incr()
        return error_response(error, self._limits)
