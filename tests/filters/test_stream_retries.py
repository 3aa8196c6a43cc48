"""When the end of a response asks for a retry, and how long it is awaited."""

from itertools import chain, repeat

import pytest

from meshproxy.backoff import Backoff, constant
from meshproxy.budget import RetryBudget
from meshproxy.classifiers.grpc import (
    GrpcAlwaysRetryableConfig,
    GrpcDefaultConfig,
    GrpcNeverRetryableConfig,
)
from meshproxy.classifiers.status import H2RetryableAll5XXConfig
from meshproxy.client.endpoint import classify
from meshproxy.config.bases import ClassifierConfig
from meshproxy.errors import ConnectionClosed
from meshproxy.filters.retries import Retries
from meshproxy.filters.stream_retries import StreamRetries
from meshproxy.h2.reset import ClientReset
from meshproxy.http.ending import Ending
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import stack
from tests.kit.messages import Pieces, Replies
from tests.kit.streams import Streaming, call, stream_response

AWAY = (b"grpc-status", b"14")
DONE = (b"grpc-status", b"0")
ONCE: Backoff = lambda: iter((0.0,))  # noqa: E731


def ending(*trailers: tuple[bytes, bytes], data: bytes = b"", within: float = 0.0) -> Response:
    """Return a response that ends *within* seconds."""
    return stream_response(Streaming(data, *trailers, within=within))


class Retrying:
    """The filter over an endpoint that judges what it gives."""

    def __init__(
        self,
        *replies: Response | Exception,
        config: ClassifierConfig | None = None,
        allowed: int = 100,
        backoff: Backoff | None = None,
    ) -> None:
        self.metrics = Tree()
        budget = RetryBudget(1, allowed, 0, lambda: 0)
        classifier = (config or GrpcDefaultConfig()).build()
        retries = Retries(classifier, budget, backoff or constant(0), 5, self.metrics, streams=True)
        held = StreamRetries(retries, 0.1, 4, self.metrics)
        self._replies = Replies(*replies)
        self._service = stack([retries, held], self._judged)

    def __call__(self, asked: Request | None = None) -> Response:
        return self._service(asked or call())

    def _judged(self, asked: Request) -> Response:
        response = self._replies(asked)
        assert asked.classifier is not None
        classify(asked, response, asked.classifier)
        return response

    @property
    def attempts(self) -> int:
        return len(self._replies.requests)

    def count(self, name: str) -> int:
        return self.metrics.counter("retries", name).value


def test_failures_that_show_at_the_end_are_retried() -> None:
    retrying = Retrying(ending(AWAY), ending(AWAY), last := ending(DONE))
    assert retrying() is last
    assert (retrying.attempts, retrying.count("total")) == (3, 2)
    assert retrying.metrics.stat("retries", "per_request").snapshot().sum == 2


def test_a_response_that_was_held_back_arrives_after_that() -> None:
    held = ending(DONE)
    held.arrived = 0.0
    assert Retrying(held)().arrived > 0


def test_what_is_dropped_is_closed() -> None:
    first = ending(AWAY)
    Retrying(first, ending(DONE))()
    assert isinstance(first.body, Streaming)
    assert first.body.is_closed


def test_a_response_that_is_too_long_is_passed_on() -> None:
    first = ending(AWAY, data=b"1234567")
    retrying = Retrying(first)
    assert retrying() is first
    assert (retrying.attempts, retrying.count("response_stream_too_long")) == (1, 1)


def test_a_response_that_is_too_late_is_passed_on() -> None:
    first = ending(AWAY, within=0.2)
    retrying = Retrying(first)
    assert retrying() is first
    assert (retrying.attempts, retrying.count("classification_timeout")) == (1, 1)
    assert isinstance(first.body, Streaming)
    assert first.body.waited == [(4, 0.1)]


@pytest.mark.parametrize(
    "retrying",
    [
        Retrying(ending(AWAY), config=GrpcNeverRetryableConfig()),
        Retrying(ending(AWAY), config=H2RetryableAll5XXConfig()),
        Retrying(ending(AWAY), allowed=0),
    ],
    ids=["never retryable", "by the status alone", "no budget"],
)
def test_nothing_is_held_back_that_could_not_be_retried(retrying: Retrying) -> None:
    response = retrying()
    assert isinstance(response.body, Streaming)
    assert response.body.waited == []


def test_nothing_is_held_back_once_the_head_has_decided() -> None:
    first = stream_response(Streaming(b"", within=0.0), (b"grpc-status", b"0"))
    assert Retrying(first)() is first
    assert isinstance(first.body, Streaming)
    assert first.body.waited == []


def test_a_client_that_leaves_while_a_response_is_held_ends_it() -> None:
    first = ending(AWAY)
    assert isinstance(first.body, Streaming)
    first.body.interruption = ClientReset("gone")
    with pytest.raises(ClientReset):
        Retrying(first)()
    assert first.body.is_closed


def test_a_body_that_comes_only_when_it_is_read_is_passed_on() -> None:
    first = stream_response(b"")
    first.body, first.ending = Pieces(b"x", trailers=of(AWAY)), Ending()
    assert Retrying(first)() is first


def test_a_request_that_is_not_held_any_more_is_not_sent_again() -> None:
    gone = call(body=Pieces(b"x", is_replayable=False))
    at_head = Retrying(stream_response(b"", AWAY))
    assert not at_head(gone).retryable
    assert (at_head.attempts, at_head.count("request_stream_too_long")) == (1, 1)
    at_end = Retrying(ending(AWAY))
    assert at_end(gone).status == 200
    assert at_end.attempts == 1


def test_an_error_is_not_retried_either_and_counted() -> None:
    gone = call(body=Pieces(b"x", is_replayable=False))
    retrying = Retrying(ConnectionClosed("x"), config=GrpcAlwaysRetryableConfig())
    with pytest.raises(ConnectionClosed):
        retrying(gone)
    assert (retrying.attempts, retrying.count("request_stream_too_long")) == (1, 1)


def test_budget_and_backoff_end_retries() -> None:
    first = stream_response(b"", AWAY)
    without = Retrying(first, allowed=0)
    assert without() is first
    assert (without.attempts, without.count("budget_exhausted")) == (1, 1)
    ended = Retrying(first, first, backoff=lambda: iter(()))
    assert ended() is first
    assert (ended.attempts, ended.count("backoffs_exhausted")) == (1, 1)
    once = Retrying(*chain(repeat(first, 2)), backoff=ONCE)
    assert once() is first
    assert (once.attempts, once.count("backoffs_exhausted")) == (2, 1)
