"""Which settings of services apply to a name, merged setting by setting."""

import math

import pytest

from meshproxy.classifiers.status import AllSuccessfulConfig, ResponseClass, RetryableAll5XXConfig
from meshproxy.config.backoff import ConstantConfig
from meshproxy.config.retries import RetriesConfig, RetryBudgetConfig
from meshproxy.config.svc import (
    GlobalSvcConfig,
    RetryBufferSizeConfig,
    StaticSvcConfig,
    SvcItem,
)
from meshproxy.http.headers import Headers
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path
from meshproxy.router.path_policy import HeldResponse, PathPolicy, path_policy

HELLO = Path.parse("/svc/hello")


def svc(prefix: str, **settings: object) -> SvcItem:
    return SvcItem(prefix=PathMatcher.parse(prefix), **settings)


@pytest.mark.parametrize("ms", [0, -5])
def test_a_timeout_of_zero_or_less_is_none(ms: int) -> None:
    assert path_policy(GlobalSvcConfig(total_timeout_ms=ms), HELLO).total_seconds == math.inf


def test_without_settings_a_path_has_every_default() -> None:
    policy = path_policy(GlobalSvcConfig(), HELLO)
    assert policy.total_seconds == math.inf
    assert policy.retry_budget == RetryBudgetConfig()
    assert next(policy.backoff()) == 0
    assert policy.retry_buffer_bytes == 65_536
    verdict = policy.classifier.response(b"GET", 500, Headers(), True)
    assert verdict is ResponseClass.FAILURE


def test_budget_and_backoff_of_retries_are_settings_of_their_own() -> None:
    config = StaticSvcConfig(
        configs=(
            svc("/svc", retries=RetriesConfig(budget=RetryBudgetConfig(ttl_secs=5))),
            svc("/svc/{x}", retries=RetriesConfig(backoff=ConstantConfig(ms=250), max_retries=0)),
            svc("/svc/other", total_timeout_ms=1),
        )
    )
    policy = path_policy(config, HELLO)
    assert policy.retry_budget == RetryBudgetConfig(ttl_secs=5)
    assert (next(policy.backoff()), policy.max_retries) == (0.25, 0)
    assert policy.total_seconds == math.inf


def test_the_last_matching_classifier_is_used() -> None:
    config = StaticSvcConfig(
        configs=(
            svc("/svc", response_classifier=RetryableAll5XXConfig(), retry_buffer_kb=1),
            svc("/svc/h*", response_classifier=AllSuccessfulConfig()),
        )
    )
    policy = path_policy(config, HELLO)
    verdict = policy.classifier.response(b"POST", 500, Headers(), True)
    assert (verdict, policy.retry_buffer_bytes) == (ResponseClass.RETRYABLE, 1024)


def test_what_no_rule_says_is_as_given() -> None:
    unset = PathPolicy(max_retries=1, held_response=HeldResponse())
    assert path_policy(GlobalSvcConfig(), HELLO, unset) == unset
    config = GlobalSvcConfig(total_timeout_ms=1000)
    assert path_policy(config, HELLO, unset).max_retries == 1


def test_buffers_and_time_of_a_held_response_come_from_several_rules() -> None:
    config = StaticSvcConfig(
        configs=(
            svc("/svc", classification_timeout_ms=350),
            svc("/svc/hello", retry_buffer_size=RetryBufferSizeConfig(request_bytes=16_384)),
        )
    )
    policy = path_policy(config, HELLO, PathPolicy(held_response=HeldResponse()))
    assert policy.retry_buffer_bytes == 16_384
    assert policy.held_response == HeldResponse(seconds=0.35, bytes=16_383)
    both = GlobalSvcConfig(
        classification_timeout_ms=5, retry_buffer_size=RetryBufferSizeConfig(response_bytes=7)
    )
    assert path_policy(both, HELLO).held_response == HeldResponse(seconds=0.005, bytes=7)
