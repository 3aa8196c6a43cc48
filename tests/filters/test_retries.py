"""When a request is sent again, and what each further time costs."""

from time import monotonic

import pytest

from meshproxy.backoff import constant
from meshproxy.budget import RetryBudget
from meshproxy.classifiers.status import MethodClassifier, RetryableAll5XXConfig
from meshproxy.errors import (
    BadDtabHeader,
    ClientGone,
    ConnectFailed,
    ConnectionClosed,
    NoHosts,
    ProxyError,
    ServiceTimedOut,
    TlsFailed,
    WriteFailed,
)
from meshproxy.filters.retries import Requeues, Retries
from meshproxy.http.classifier import ResponseClass
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from tests.kit.messages import Endless, Pieces, Replies, request, response

ALL = RetryableAll5XXConfig().build()


def broken(*, retryable: bool = True) -> Response:
    """Return a 503 as an endpoint marks it."""
    answer = response(503)
    answer.failed = True
    answer.retryable = retryable
    return answer


def budget(retries: int) -> RetryBudget:
    """Return a budget of *retries* that no traffic adds to."""
    return RetryBudget(1, retries, 0, lambda: 0)


class Retrying:
    """Retries with everything they use at hand."""

    def __init__(
        self,
        allowed: int = 100,
        classifier: MethodClassifier = ALL,
        waits: float = 0.0,
        most: int = 100,
    ) -> None:
        self.metrics = Tree()
        self.pauses: list[float] = []
        self._filter = Retries(
            classifier, budget(allowed), constant(waits), most, self.metrics, self.pauses.append
        )

    def __call__(self, service: Replies, asked: Request | None = None) -> Response:
        return self._filter(asked or request(), service)

    def counts(self) -> tuple[int, int, float]:
        """Return total, budget_exhausted, and the sum of per_request."""
        scope = self.metrics.scope("retries")
        per_request = scope.stat("per_request").snapshot()
        return (
            scope.counter("total").value,
            scope.counter("budget_exhausted").value,
            per_request.sum,
        )


# --- by the classifier ---


def test_a_success_is_sent_once() -> None:
    retrying, service = Retrying(), Replies(response())
    assert retrying(service).status == 200
    assert (len(service.requests), retrying.counts()) == (1, (0, 0, 0))


def test_a_retryable_response_is_followed_by_another_try() -> None:
    retrying, service = Retrying(), Replies(broken(), broken(), response())
    assert retrying(service).status == 200
    assert (len(service.requests), retrying.counts()) == (3, (2, 0, 2))


def test_a_response_that_is_not_retryable_is_passed_on() -> None:
    retrying, service = Retrying(), Replies(broken(retryable=False), response())
    assert retrying(service).status == 503
    assert len(service.requests) == 1


def test_a_failure_after_a_retryable_one_ends_it() -> None:
    service = Replies(broken(), broken(retryable=False), response())
    assert Retrying()(service).status == 503
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "error", [ConnectionClosed("x"), ServiceTimedOut("x"), ConnectFailed("x"), WriteFailed("x")]
)
def test_an_error_that_the_classifier_calls_retryable_is_tried_again(error: ProxyError) -> None:
    service = Replies(error, response())
    assert Retrying()(service).status == 200


@pytest.mark.parametrize(
    ("error", "classifier"),
    [
        (NoHosts("x"), ALL),
        (TlsFailed("x"), ALL),
        (BadDtabHeader("x"), ALL),
        (ClientGone("x"), ALL),
        (ConnectionClosed("x"), MethodClassifier()),
    ],
)
def test_other_errors_are_not(error: ProxyError, classifier: MethodClassifier) -> None:
    service = Replies(error, response())
    with pytest.raises(type(error)):
        Retrying(classifier=classifier)(service)
    assert len(service.requests) == 1


def test_the_last_error_is_the_one_that_is_raised() -> None:
    service = Replies(ConnectionClosed("first"), ServiceTimedOut("second"))
    with pytest.raises(ServiceTimedOut, match="second"):
        Retrying(allowed=1)(service)


def test_a_body_that_is_gone_is_not_sent_again() -> None:
    gone = request(method=b"POST", body=Pieces(b"x", is_replayable=False))
    service = Replies(ConnectionClosed("x"), response())
    with pytest.raises(ConnectionClosed):
        Retrying()(service, gone)
    assert len(service.requests) == 1


def test_the_budget_is_what_ends_a_storm() -> None:
    retrying, service = Retrying(allowed=3), Replies(broken())
    assert retrying(service).status == 503
    assert (len(service.requests), retrying.counts()) == (4, (3, 1, 3))
    assert retrying(service).status == 503
    assert len(service.requests) == 5


@pytest.mark.parametrize(("most", "tries"), [(0, 1), (5, 6)])
def test_one_request_is_retried_so_often_and_no_more(most: int, tries: int) -> None:
    retrying, service = Retrying(most=most), Replies(broken())
    assert retrying(service).status == 503
    assert (len(service.requests), retrying.counts()) == (tries, (most, 0, most))
    assert retrying.metrics.counter("retries", "request_limit").value == 1


class Eager:
    """A classifier, as a plugin may have it, that calls everything retryable."""

    def response(self, *_: object) -> ResponseClass:
        return ResponseClass.RETRYABLE

    error = response


def test_a_final_error_is_final_whatever_a_classifier_says() -> None:
    service = Replies(TlsFailed("x"), response())
    retries = Retries(Eager(), budget(9), constant(0), 5, Tree())
    with pytest.raises(TlsFailed):
        retries(request(), service)
    assert len(service.requests) == 1


def test_every_request_pays_in_whatever_becomes_of_it() -> None:
    paid = RetryBudget(10, 0, 0.5, lambda: 0)
    retries = Retries(ALL, paid, constant(0), 5, Tree())
    retries(request(), Replies(response()))
    with pytest.raises(NoHosts):
        retries(request(), Replies(NoHosts("x")))
    assert paid.balance() == 1


def test_the_budget_is_shown() -> None:
    assert Retrying(allowed=7).metrics.gauge("retries", "budget").read() == 7


def test_the_body_of_a_response_is_let_go_before_the_pause() -> None:
    endless, metrics, closed = Endless(), Tree(), []
    first = broken()
    first.body = endless
    retries = Retries(
        ALL, budget(1), constant(0.5), 5, metrics, lambda _: closed.append(endless.is_closed)
    )
    retries(request(), Replies(first, response()))
    assert closed == [True]


def test_a_response_that_is_passed_on_keeps_its_body() -> None:
    last = broken()
    last.body = endless = Endless()
    assert Retrying(allowed=0)(Replies(last)).body is endless
    assert not endless.is_closed


def test_it_waits_as_the_backoff_says() -> None:
    retrying = Retrying(waits=0.25)
    retrying(Replies(broken(), broken(), response()))
    assert retrying.pauses == [0.25, 0.25]


def test_a_backoff_that_ends_ends_the_retries() -> None:
    retries = Retries(ALL, budget(9), lambda: iter([0.0]), 5, Tree())
    service = Replies(broken())
    retries(request(), service)
    assert len(service.requests) == 2


def test_no_try_begins_after_the_deadline() -> None:
    retrying, service, asked = Retrying(waits=60.0), Replies(broken()), request()
    asked.deadline = monotonic() + 30
    assert retrying(service, asked).status == 503
    assert (len(service.requests), retrying.pauses) == (1, [])
    assert retrying.counts()[1] == 0


def test_the_classifier_goes_along_for_those_below() -> None:
    asked = request()
    Retrying()(Replies(response()), asked)
    assert asked.classifier is ALL


# --- what was never delivered ---


class Requeuing:
    """Requeues over *endpoints*, with everything they use at hand."""

    def __init__(self, allowed: int = 100, endpoints: int = 9, most: int = 24) -> None:
        self.metrics = Tree()
        self.budget = budget(allowed)
        self._filter = Requeues(self.budget, lambda: endpoints, most, self.metrics)

    def __call__(self, service: Replies, asked: Request | None = None) -> Response:
        return self._filter(asked or request(), service)

    def counts(self) -> tuple[int, int, int]:
        """Return requeues, budget_exhausted and request_limit."""
        names = ("requeues", "budget_exhausted", "request_limit")
        scope = self.metrics.scope("retries")
        requeues, exhausted, limited = (scope.counter(name).value for name in names)
        return requeues, exhausted, limited


@pytest.mark.parametrize("error", [ConnectFailed("x"), WriteFailed("x")])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"BREW"])
def test_what_was_not_delivered_is_tried_elsewhere_whatever_the_method(
    error: ProxyError, method: bytes
) -> None:
    requeuing, service = Requeuing(), Replies(error, error, response())
    asked = request(method=method, body=Pieces(b"x"))
    assert requeuing(service, asked).status == 200
    assert requeuing.counts() == (2, 0, 0)
    assert requeuing.metrics.stat("retries", "requeues_per_request").snapshot().sum == 2


@pytest.mark.parametrize("error", [ConnectionClosed("x"), TlsFailed("x"), ServiceTimedOut("x")])
def test_what_may_have_been_delivered_is_not(error: ProxyError) -> None:
    service = Replies(error, response())
    with pytest.raises(type(error)):
        Requeuing()(service)
    assert len(service.requests) == 1


def test_the_endpoints_that_refused_are_remembered() -> None:
    asked, names = request(), iter(["a", "b", "c"])

    def refuse(asked: Request) -> Response:
        asked.endpoint = next(names)
        if asked.endpoint != "c":
            raise ConnectFailed("x")
        return response()

    Requeues(budget(99), lambda: 9, 24, Tree())(asked, refuse)
    assert asked.tried == ("a", "b")


@pytest.mark.parametrize(("endpoints", "tries"), [(0, 1), (1, 1), (2, 2), (25, 25), (90, 25)])
def test_each_endpoint_is_tried_once_and_25_at_most(endpoints: int, tries: int) -> None:
    requeuing, service = Requeuing(1000, endpoints), Replies(ConnectFailed("x"))
    with pytest.raises(ConnectFailed):
        requeuing(service)
    assert len(service.requests) == tries
    assert requeuing.counts() == (tries - 1, 0, 1)


@pytest.mark.parametrize("most", [0, 3])
def test_one_request_is_moved_so_often_and_no_more(most: int) -> None:
    requeuing, service = Requeuing(most=most), Replies(ConnectFailed("x"))
    with pytest.raises(ConnectFailed):
        requeuing(service)
    assert requeuing.counts() == (most, 0, 1)


def test_retries_do_not_multiply_the_moves_of_a_request() -> None:
    requeuing, service, asked = Requeuing(endpoints=4), Replies(ConnectFailed("x")), request()
    retries = Retries(ALL, budget(99), constant(0), 2, Tree())
    with pytest.raises(ConnectFailed):
        retries(asked, lambda asked: requeuing(service, asked))
    assert len(service.requests) == 1 + 3 + 2


def test_what_cannot_be_sent_again_is_counted() -> None:
    requeuing, late = Requeuing(), request()
    late.deadline = 0.0
    body = Pieces(b"x")
    body.is_replayable = False
    for asked in (request(body=body), late):
        with pytest.raises(ConnectFailed):
            requeuing(Replies(ConnectFailed("x")), asked)
    assert requeuing.metrics.counter("retries", "cannot_retry").value == 2
    assert requeuing.counts() == (0, 0, 0)


def test_a_client_without_an_open_endpoint_is_counted_and_tried_on() -> None:
    metrics = Tree()
    is_open = iter((True, False))
    requeues = Requeues(budget(99), lambda: 9, 24, metrics, lambda: next(is_open))
    answer = requeues(request(), Replies(ConnectFailed("x"), ConnectFailed("x"), response()))
    assert answer.status == 200
    assert metrics.counter("retries", "not_open").value == 1


def test_one_request_gets_a_fifth_of_the_budget() -> None:
    requeuing, service = Requeuing(allowed=10), Replies(ConnectFailed("x"))
    with pytest.raises(ConnectFailed):
        requeuing(service)
    assert requeuing.counts() == (2, 0, 1)


def test_an_empty_budget_ends_it() -> None:
    requeuing = Requeuing(allowed=1)
    for _ in range(2):
        with pytest.raises(ConnectFailed):
            requeuing(Replies(ConnectFailed("x")))
    assert requeuing.counts()[0] == 1


def test_only_a_success_pays_in() -> None:
    paid = RetryBudget(10, 0, 1.0, lambda: 0)
    requeues = Requeues(paid, lambda: 1, 24, Tree())
    requeues(request(), Replies(response()))
    requeues(request(), Replies(broken()))
    with pytest.raises(ConnectFailed):
        requeues(request(), Replies(ConnectFailed("x")))
    assert paid.balance() == 1


@pytest.mark.parametrize(
    "field", [(b"finagle-http-nack", b"true"), (b"Retry-After", b"0")], ids=["nack", "at once"]
)
def test_a_503_that_refuses_is_tried_elsewhere_and_let_go(field: tuple[bytes, bytes]) -> None:
    refusal = response(503, field)
    refusal.failed = True
    refusal.body = endless = Endless()
    requeuing = Requeuing()
    assert requeuing(Replies(refusal, response())).status == 200
    assert endless.is_closed


@pytest.mark.parametrize(
    "answer",
    [
        response(503),
        response(503, (b"Retry-After", b"1")),
        response(500, (b"finagle-http-nack", b"true")),
    ],
)
def test_another_failure_is_passed_on(answer: Response) -> None:
    answer.failed = True
    service = Replies(answer, response())
    assert Requeuing()(service) is answer


def test_a_body_that_is_gone_is_not_requeued() -> None:
    gone = request(method=b"POST", body=Pieces(b"x", is_replayable=False))
    service = Replies(ConnectFailed("x"), response())
    with pytest.raises(ConnectFailed):
        Requeuing()(service, gone)
    assert len(service.requests) == 1


def test_nothing_is_requeued_after_the_deadline() -> None:
    asked, service = request(), Replies(ConnectFailed("x"), response())
    asked.deadline = monotonic() - 1
    with pytest.raises(ConnectFailed):
        Requeuing()(service, asked)
    assert len(service.requests) == 1
