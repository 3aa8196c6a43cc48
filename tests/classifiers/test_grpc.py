"""Results of gRPC calls and their classes, for every kind."""

import pytest

from meshproxy.classifiers.grpc import (
    GrpcAlwaysRetryableConfig,
    GrpcCompliantConfig,
    GrpcDefaultConfig,
    GrpcNeverRetryableConfig,
    GrpcRetryableStatusCodesConfig,
)
from meshproxy.config.bases import ClassifierConfig
from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.errors import ConnectionClosed, NoHosts, ServiceTimedOut
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import GoneAway, StreamRefused, StreamReset
from meshproxy.http.classifier import ResponseClass
from meshproxy.http.headers import Headers, of

SUCCESS, FAILURE, RETRYABLE = ResponseClass
CODES = GrpcRetryableStatusCodesConfig(retryable_status_codes=(4, 8))


def status(value: bytes | None) -> Headers:
    return of() if value is None else of((b"grpc-status", value))


def head(
    config: ClassifierConfig, value: bytes | None = None, http: int = 200
) -> ResponseClass | None:
    found: ResponseClass | None = config.build().response(b"POST", http, status(value), True)
    return found


def end(config: ClassifierConfig, value: bytes | None) -> ResponseClass:
    found: ResponseClass = config.build().end(status(value))
    return found


@pytest.mark.parametrize(
    ("config", "retryable"),
    [
        (GrpcDefaultConfig(), {14}),
        (GrpcCompliantConfig(), {14}),
        (GrpcNeverRetryableConfig(), set()),
        (GrpcAlwaysRetryableConfig(), set(range(1, 17))),
        (CODES, {4, 8}),
    ],
)
def test_codes_are_the_same_in_head_and_trailers(
    config: ClassifierConfig, retryable: set[int]
) -> None:
    assert head(config, b"0") is end(config, b"0") is SUCCESS
    for code in range(1, 17):
        expected = RETRYABLE if code in retryable else FAILURE
        assert head(config, b"%d" % code) is end(config, b"%d" % code) is expected
    assert config.build().may_retry_at_end is bool(retryable)


def test_an_end_that_recurs_has_the_same_class_again() -> None:
    classifier = GrpcDefaultConfig().build()
    ends = {b"0": SUCCESS, b"14": RETRYABLE, b"3": FAILURE, b"x" * 200: FAILURE}
    for value, expected in [*ends.items()] * 3:
        assert classifier.end(status(value)) is expected


def test_a_head_without_a_status_leaves_it_to_the_end() -> None:
    assert head(GrpcDefaultConfig()) is None
    assert end(GrpcDefaultConfig(), None) is FAILURE
    assert GrpcDefaultConfig().build().end(None) is FAILURE


def test_a_status_that_is_no_number_is_unknown_in_a_head_and_absent_in_trailers() -> None:
    assert head(GrpcAlwaysRetryableConfig(), b"abc") is RETRYABLE
    assert end(GrpcAlwaysRetryableConfig(), b"abc") is FAILURE


def test_success_codes_replace_0() -> None:
    config = GrpcDefaultConfig(success_status_codes=(5, 14))
    assert (end(config, b"5"), end(config, b"0")) == (SUCCESS, FAILURE)
    assert not config.build().may_retry_at_end


@pytest.mark.parametrize(
    ("config", "retryable"),
    [
        (GrpcDefaultConfig(), set()),
        (GrpcCompliantConfig(), {429, 502, 503, 504}),
        (GrpcAlwaysRetryableConfig(), {404, 429, 500, 502, 503, 504}),
    ],
)
def test_the_status_of_http_counts_without_one_of_grpc(
    config: ClassifierConfig, retryable: set[int]
) -> None:
    for code in (404, 429, 500, 502, 503, 504):
        assert head(config, http=code) is (RETRYABLE if code in retryable else FAILURE)
    assert head(config, b"0", http=503) is SUCCESS


@pytest.mark.parametrize(
    ("config", "refused", "others"),
    [
        (GrpcDefaultConfig(), FAILURE, FAILURE),
        (GrpcCompliantConfig(), RETRYABLE, FAILURE),
        (GrpcAlwaysRetryableConfig(), RETRYABLE, RETRYABLE),
    ],
)
def test_errors(config: ClassifierConfig, refused: ResponseClass, others: ResponseClass) -> None:
    classifier = config.build()
    for error in (StreamRefused("x"), GoneAway("x")):
        assert classifier.error(b"POST", error, True) is refused
        assert classifier.error(b"POST", error, False) is FAILURE
    for other in (StreamReset("x", ErrorCode.CANCEL), ConnectionClosed("x"), ServiceTimedOut("x")):
        assert classifier.error(b"POST", other, True) is others
    assert classifier.error(b"POST", NoHosts("x"), True) is FAILURE


def test_only_numbers_that_can_be_codes_are_accepted() -> None:
    findings = Findings("f")
    text = "kind: io.l5d.h2.grpc.retryableStatusCodes\nretryableStatusCodes: [14, -1]\n"
    decode(ClassifierConfig, parse(text + "successStatusCodes: [1000]", findings), findings)
    assert [str(error) for error in findings.found] == [
        "f:3:22: successStatusCodes[0]: 1000 is not a gRPC status code",
        "f:2:28: retryableStatusCodes[1]: -1 is not a gRPC status code",
    ]
