"""Requests and responses that statistics count, and what these show then."""

from meshproxy.http.ending import Ending
from meshproxy.http.message import Request, Response
from meshproxy.metrics.instruments import Counter, Gauge
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from tests.kit.messages import request, response


def shown(tree: Tree) -> dict[str, float]:
    """Return counters, gauges, and the number of values of each histogram."""
    found: dict[str, float] = {}
    for scope, one in tree.walk():
        if isinstance(one, Counter):
            value: float = one.value
        else:
            value = one.read() if isinstance(one, Gauge) else one.snapshot().count
        found["/".join(scope)] = value
    return found


def asking(name: str = "/svc/web") -> Request:
    """Return a request for the logical name *name*."""
    asked = request()
    asked.dst = Path.parse(name)
    return asked


def failed(status: int) -> Response:
    """Return a response that the classifier has called a failure."""
    answer = response(status)
    answer.failed = True
    return answer


def coming(*, breaks: bool) -> tuple[Response, Ending]:
    """Return a response whose body is still coming, and its end."""
    answer = response()
    answer.ending = ending = Ending()
    ending.then(lambda _: setattr(answer, "failed", breaks))
    return answer, ending
