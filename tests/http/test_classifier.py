"""What a classifier has to be, and that those we have are one; mypy judges the rest."""

import inspect

import pytest

from meshproxy.classifiers.grpc import GrpcDefaultConfig
from meshproxy.classifiers.status import (
    H2NonRetryable5XXConfig,
    HeadClassifier,
    NonRetryable5XXConfig,
)
from meshproxy.errors import ConnectFailed
from meshproxy.http.classifier import Classifier, ResponseClass
from meshproxy.http.headers import Headers

CLASSIFIERS: list[Classifier] = [
    NonRetryable5XXConfig().build(),
    H2NonRetryable5XXConfig().build(),
    GrpcDefaultConfig().build(),
    HeadClassifier(NonRetryable5XXConfig().build()),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda each: type(each).__name__)
def test_everything_that_the_protocol_names_is_there(classifier: Classifier) -> None:
    named = [name for name, _ in inspect.getmembers(Classifier) if not name.startswith("_")]
    assert named == ["end", "error", "judges_from", "may_retry_at_end", "response"]
    assert [name for name in named if not hasattr(classifier, name)] == []


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda each: type(each).__name__)
def test_a_head_below_the_first_judged_one_is_a_success_whoever_is_asked(
    classifier: Classifier,
) -> None:
    for status in range(200, classifier.judges_from, 50):
        assert classifier.response(b"GET", status, Headers(), True) is ResponseClass.SUCCESS
    assert classifier.error(b"POST", ConnectFailed("x"), False) is not ResponseClass.SUCCESS


def test_the_classes_are_in_the_order_in_which_they_are_unpacked() -> None:
    success, failure, retryable = ResponseClass
    assert (success.value, failure.value, retryable.value) == (
        "success", "failure", "retryable_failure",
    )  # fmt: skip
