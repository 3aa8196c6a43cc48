"""What is not counted is said to be so, and is not counted."""

import re

from meshproxy.metrics.absent import ABSENT, markdown
from meshproxy.metrics.names import patterns


def test_the_page_names_each_of_them_with_a_reason() -> None:
    page = markdown()
    for names, why in ABSENT:
        assert f"| {names} | {why} |" in page
        assert why.endswith(".")


def test_nothing_is_both_counted_and_not() -> None:
    counted = {metric.name for _, metric in patterns()}
    absent = {name for names, _ in ABSENT for name in re.findall(r"`([^`]+)`", names)}
    assert counted & absent == set()
    assert "read_timeout" in absent
