import pytest

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.retries import RetriesConfig, RetryBudgetConfig


def test_a_budget_allows_a_fifth_and_ten_a_second_by_default() -> None:
    budget = RetryBudgetConfig()
    assert (budget.min_retries_per_sec, budget.percent_can_retry, budget.ttl_secs) == (10, 0.2, 10)


def test_budget_and_backoff_are_apart() -> None:
    findings = Findings("f")
    read = decode(RetriesConfig, parse("budget: {percentCanRetry: '0.5'}", findings), findings)
    assert read == RetriesConfig(budget=RetryBudgetConfig(percent_can_retry=0.5))


@pytest.mark.parametrize(
    "text", ["ttlSecs: 0", "ttlSecs: 61", "minRetriesPerSec: -1", "percentCanRetry: 1001"]
)
def test_a_budget_out_of_bounds_is_refused(text: str) -> None:
    findings = Findings("f")
    assert decode(RetryBudgetConfig, parse(text, findings), findings) is None
