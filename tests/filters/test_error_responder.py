"""Errors become responses, each with its count; faults of ours also with a trace."""

import logging

import pytest

from meshproxy.errors import (
    BadDtabHeader,
    BindingTimedOut,
    ClientGone,
    ConnectFailed,
    NoHosts,
    ProxyError,
    ServiceTimedOut,
)
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.http.limits import Limits
from meshproxy.http.message import Response
from meshproxy.metrics.tree import Tree
from tests.kit.messages import Replies, request, response


def answer(error: Exception, limits: Limits | None = None) -> tuple[Response, Tree]:
    metrics = Tree()
    responder = ErrorResponder(limits or Limits(), metrics)
    return responder(request(), Replies(error)), metrics


def test_a_response_passes() -> None:
    passed = response(503)
    assert ErrorResponder(Limits(), Tree())(request(), Replies(passed)) is passed


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (BadDtabHeader("no table"), 400, "bad_dtab"),
        (NoHosts("nobody"), 502, "no_hosts"),
        (ConnectFailed("refused"), 502, "connect"),
        (BindingTimedOut("slow"), 503, "binding_timeout"),
        (ServiceTimedOut("slow"), 503, "timeout"),
    ],
)
def test_an_error_is_answered_and_counted(error: ProxyError, status: int, reason: str) -> None:
    found, metrics = answer(error)
    text = str(error).encode()
    assert (found.status, found.body, found.version) == (status, text, b"1.1")
    assert found.headers.get(b"content-type") == b"text/plain"
    assert found.headers.get(b"content-length") == b"%d" % len(text)
    assert found.headers.get(b"l5d-err") == text.replace(b" ", b"+")
    assert metrics.counter("failures", reason).value == 1
    assert found.failed == (status >= 500)


def test_what_was_not_delivered_may_be_retried() -> None:
    assert answer(ConnectFailed("x"))[0].headers.get(b"l5d-retryable") == b"true"
    assert answer(ServiceTimedOut("x"))[0].headers.get(b"l5d-retryable") is None


def test_an_error_without_words_says_its_name() -> None:
    assert answer(NoHosts())[0].body == b"NoHosts"


def test_body_and_header_are_cut_to_their_limits() -> None:
    found, _ = answer(NoHosts("x" * 100), Limits(error_bytes=7, header_bytes=5))
    assert (found.body, found.headers.get(b"l5d-err")) == (b"x" * 7, b"x" * 5)
    assert found.headers.get(b"content-length") == b"7"


def test_a_text_of_several_lines_keeps_them() -> None:
    found, _ = answer(NoHosts("Unable to route request!\n\nservice name: /svc/foo\n"))
    assert found.body == b"Unable to route request!\n\nservice name: /svc/foo\n"
    assert found.headers.get(b"l5d-err") == (
        b"Unable+to+route+request%21%0A%0Aservice+name%3A+%2Fsvc%2Ffoo%0A"
    )


def test_nobody_is_answered_who_is_gone() -> None:
    with pytest.raises(ClientGone):
        ErrorResponder(Limits(), Tree())(request(), Replies(ClientGone("left")))


def test_a_fault_of_ours_is_a_500_that_tells_nothing_and_a_trace_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        found, metrics = answer(ZeroDivisionError("a secret"))
    assert (found.status, found.body) == (500, b"internal error")
    assert b"l5d-err" in found.headers
    assert metrics.counter("failures", "internal").value == 1
    assert caplog.records[0].exc_info is not None
    assert "ZeroDivisionError: a secret" in caplog.text


def test_a_fault_that_comes_back_is_not_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    responder = ErrorResponder(Limits(), Tree())
    failing = Replies(ZeroDivisionError("again"))
    with caplog.at_level(logging.ERROR):
        assert {responder(request(), failing).status for _ in range(3)} == {500}
    assert len(caplog.records) == 1


def test_an_error_that_was_answered_holds_nothing_of_its_request() -> None:
    error = NoHosts("kept by what has failed")
    answer(error)
    assert error.__traceback__ is None
