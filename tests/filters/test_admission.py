"""How many requests are let in."""

import pytest

from meshproxy.errors import NoHosts
from meshproxy.filters.admission import ConcurrencyLimit, Overloaded
from meshproxy.http.errors import error_response
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from tests.kit.messages import Replies, request, response


def test_one_request_too_many_is_refused_and_the_next_is_not() -> None:
    metrics = Tree()
    limit = ConcurrencyLimit(1, metrics)

    def while_another_comes(_: Request) -> Response:
        with pytest.raises(Overloaded):
            limit(request(), Replies(response()))
        return response()

    assert limit(request(), while_another_comes).status == 200
    assert limit(request(), Replies(response())).status == 200
    assert metrics.counter("nacks").value == 1
    assert metrics.gauge("request_concurrency").read() == 0


def test_a_failed_request_makes_room_as_well() -> None:
    limit = ConcurrencyLimit(1, Tree())
    for _ in range(2):
        with pytest.raises(NoHosts):
            limit(request(), Replies(NoHosts("gone")))


def test_a_refusal_says_that_nothing_was_done() -> None:
    answer = error_response(Overloaded("safe to retry"), Limits())
    fields = [b"finagle-http-nack", b"retry-after", b"l5d-retryable", b"l5d-err"]
    assert answer.status == 503
    assert [answer.headers.get(name) for name in fields] == [
        b"true",
        b"0",
        b"true",
        b"safe+to+retry",
    ]
