"""Results and their classes, for every kind."""

import pytest

from meshproxy import errors
from meshproxy.classifiers.status import (
    AllSuccessfulConfig,
    H2AllSuccessfulConfig,
    H2NonRetryable5XXConfig,
    H2RetryableAll5XXConfig,
    H2RetryableIdempotent5XXConfig,
    H2RetryableRead5XXConfig,
    NonRetryable5XXConfig,
    ResponseClass,
    RetryableAll5XXConfig,
    RetryableIdempotent5XXConfig,
    RetryableRead5XXConfig,
    complete,
)
from meshproxy.config.bases import ClassifierConfig
from meshproxy.h2.reset import StreamRefused, StreamReset
from meshproxy.http.headers import Headers, of

SUCCESS, FAILURE, RETRYABLE = ResponseClass
PLAIN = Headers()
READ = {b"GET", b"HEAD", b"OPTIONS", b"TRACE"}
IDEMPOTENT = READ | {b"PUT", b"DELETE"}
ALL = IDEMPOTENT | {b"PATCH", b"POST"}
METHODS = sorted(ALL | {b"CONNECT", b"PROPFIND", b"get"})

KINDS = [
    pytest.param(NonRetryable5XXConfig(), set(), id="nonRetryable5XX"),
    pytest.param(RetryableRead5XXConfig(), READ, id="retryableRead5XX"),
    pytest.param(RetryableIdempotent5XXConfig(), IDEMPOTENT, id="retryableIdempotent5XX"),
    pytest.param(RetryableAll5XXConfig(), ALL, id="retryableAll5XX"),
    pytest.param(H2NonRetryable5XXConfig(), set(), id="h2.nonRetryable5XX"),
    pytest.param(H2RetryableRead5XXConfig(), READ, id="h2.retryableRead5XX"),
    pytest.param(H2RetryableIdempotent5XXConfig(), IDEMPOTENT, id="h2.retryableIdempotent5XX"),
    pytest.param(H2RetryableAll5XXConfig(), ALL, id="h2.retryableAll5XX"),
]


@pytest.mark.parametrize(("config", "retried"), KINDS)
def test_a_5xx_is_retryable_for_the_methods_of_its_kind(
    config: ClassifierConfig, retried: set[bytes]
) -> None:
    classifier = config.build()
    for method in METHODS:
        expected = RETRYABLE if method in retried else FAILURE
        for status in (500, 503, 599):
            assert classifier.response(method, status, PLAIN, True) is expected


@pytest.mark.parametrize(("config", "retried"), KINDS)
@pytest.mark.parametrize(
    "error",
    [
        errors.ServiceTimedOut,
        errors.WriteFailed,
        errors.ConnectFailed,
        errors.TimedOutInQueue,
        errors.ConnectionClosed,
        errors.BadResponse,
    ],
)
def test_faults_of_the_endpoint_are_retryable_for_the_same_methods(
    config: ClassifierConfig, retried: set[bytes], error: type[Exception]
) -> None:
    classifier = config.build()
    for method in METHODS:
        expected = RETRYABLE if method in retried else FAILURE
        assert classifier.error(method, error(), True) is expected


@pytest.mark.parametrize(
    "error",
    [
        errors.PoolFull,
        errors.NoHosts,
        errors.BindingTimedOut,
        errors.TlsFailed,
        errors.Forbidden,
        OSError,
    ],
)
def test_what_another_attempt_cannot_mend_is_a_plain_failure(error: type[Exception]) -> None:
    assert RetryableAll5XXConfig().build().error(b"GET", error(), True) is FAILURE


@pytest.mark.parametrize(("config", "retried"), KINDS)
def test_what_is_no_5xx_is_a_success(config: ClassifierConfig, retried: set[bytes]) -> None:
    del retried
    for status in (101, 200, 304, 404, 499, 600):
        assert config.build().response(b"GET", status, PLAIN, True) is SUCCESS


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(b"true", RETRYABLE, id="true"),
        pytest.param(b"TRUE", RETRYABLE, id="in capitals"),
        pytest.param(b"yes", FAILURE, id="anything else"),
        pytest.param(b"", FAILURE, id="empty"),
    ],
)
@pytest.mark.parametrize(("config", "retried"), KINDS)
def test_the_endpoint_may_mark_a_failure_retryable_whatever_the_method(
    config: ClassifierConfig, retried: set[bytes], value: bytes, expected: ResponseClass
) -> None:
    del retried
    headers = of((b"L5d-Retryable", value))
    assert config.build().response(b"PROPFIND", 503, headers, True) is expected


@pytest.mark.parametrize(("config", "retried"), KINDS)
def test_a_loop_is_never_retried(config: ClassifierConfig, retried: set[bytes]) -> None:
    headers = of((b"l5d-retryable", b"true"))
    for method in retried or {b"GET"}:
        assert config.build().response(method, 508, headers, True) is FAILURE


def test_a_success_marked_retryable_is_a_success() -> None:
    headers = of((b"l5d-retryable", b"true"))
    assert RetryableAll5XXConfig().build().response(b"GET", 404, headers, True) is SUCCESS


def test_a_body_that_is_gone_is_never_retried() -> None:
    classifier = RetryableAll5XXConfig().build()
    headers = of((b"l5d-retryable", b"true"))
    assert classifier.response(b"PUT", 500, PLAIN, False) is FAILURE
    assert classifier.response(b"PUT", 500, headers, False) is FAILURE
    assert classifier.error(b"PUT", errors.WriteFailed(), False) is FAILURE
    assert classifier.response(b"PUT", 200, PLAIN, False) is SUCCESS


def test_all_successful_calls_every_response_a_success_and_every_error_a_failure() -> None:
    classifier = AllSuccessfulConfig().build()
    headers = of((b"l5d-retryable", b"true"))
    for status in (200, 404, 500, 503, 599):
        assert classifier.response(b"GET", status, headers, True) is SUCCESS
    assert classifier.error(b"GET", errors.ServiceTimedOut(), True) is FAILURE


def test_a_reset_stream_is_not_retried_by_kinds_of_h2() -> None:
    for reset in (StreamReset("x"), StreamRefused("x")):
        assert H2RetryableAll5XXConfig().build().error(b"GET", reset, True) is FAILURE
        assert RetryableAll5XXConfig().build().error(b"GET", reset, True) is RETRYABLE


def test_kinds_of_h2_leave_it_to_the_retries_if_a_body_is_held() -> None:
    classifier = H2RetryableAll5XXConfig().build()
    assert classifier.response(b"POST", 503, PLAIN, False) is RETRYABLE
    assert classifier.error(b"POST", errors.ConnectionClosed("x"), False) is FAILURE
    assert H2AllSuccessfulConfig().build().response(b"POST", 503, PLAIN, True) is SUCCESS


def test_a_classifier_of_a_plugin_judges_heads_of_5xx_and_errors() -> None:
    class OfPlugin:
        def response(self, *_: object) -> ResponseClass:
            return RETRYABLE

        def error(self, *_: object) -> ResponseClass:
            return FAILURE

    whole = complete(OfPlugin())
    assert (whole.judges_from, whole.may_retry_at_end) == (500, False)
    assert whole.response(b"GET", 500, PLAIN, True) is RETRYABLE
    assert whole.error(b"GET", errors.WriteFailed("x"), True) is FAILURE
    assert whole.end(None) is SUCCESS
    ours = RetryableAll5XXConfig().build()
    assert complete(ours) is ours
    assert ours.end(PLAIN) is SUCCESS
