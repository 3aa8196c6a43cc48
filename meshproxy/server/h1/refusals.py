"""Responses to bytes that are not a request, counted like every other error."""

from collections.abc import Callable

from meshproxy.errors import ProxyError
from meshproxy.filters.context import clear
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.filters.stats import Statuses
from meshproxy.http.limits import Limits
from meshproxy.http.message import Response
from meshproxy.metrics.tree import Tree


def refuser(
    limits: Limits, metrics: Tree, *, clear_context: bool
) -> Callable[[ProxyError], Response]:
    """Returns the function that makes the response to an error met before any filter ran."""
    responder = ErrorResponder(limits, metrics)
    statuses = Statuses(metrics)

    def answer(error: ProxyError) -> Response:
        response = responder.answer(error)
        status, add_ms = statuses[response.status]
        status.value += 1
        add_ms(0.0)
        return clear(response) if clear_context else response

    return answer
