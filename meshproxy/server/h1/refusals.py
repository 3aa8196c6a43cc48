"""Responses to bytes that are not a request, counted like every other error."""

from meshproxy.errors import ProxyError
from meshproxy.filters.access_log import AccessLog
from meshproxy.filters.context import clear
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.filters.outcomes import Statuses
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from meshproxy.server.protocol import Answer


def refuser(
    limits: Limits,
    metrics: Tree,
    *,
    clear_context: bool,
    log: AccessLog | None = None,
    recent: RecentRequests | None = None,
    router: str = "",
    server: str = "",
) -> Answer:
    """Returns the function that makes the response to an error met before any filter ran.

    What was refused has a line in *log* and is recorded in *recent*, as a request to *server* of
    the router *router*.
    """
    responder = ErrorResponder(limits, metrics)
    statuses = Statuses(metrics)

    def answer(error: ProxyError, request: Request | None) -> Response:
        response = responder.answer(error)
        statuses[response.status].add(0.0)
        if recent is not None and request is not None:
            recent.ended(router, server, request, response, 0.0)
        sent = clear(response) if clear_context else response
        if log is not None and request is not None:
            log.refused(request, sent)
        return sent

    return answer
