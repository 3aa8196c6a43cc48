"""How a case is compared: what it expects, against what a driver makes of what it gives."""

import math
from collections.abc import Callable, Mapping
from typing import Any

Given = Mapping[str, Any]
Driver = Callable[[Given], dict[str, Any]]
Outcome = tuple[object, object]
Check = Callable[[Given], Outcome]
"""Runs one case: what was expected, and what came out."""


def check(driver: Driver) -> Check:
    """Run a case: what it expects, and what came out as far as the case speaks of it."""

    def run(case: Given) -> Outcome:
        expected = dict(case["expect"])
        expected.pop("note", None)
        within = {
            "rel_tol": expected.pop("rel_tolerance", 0.0),
            "abs_tol": expected.pop("abs_tolerance", 0.0),
        }
        return expected, _as_far_as(expected, driver(case["given"]), within)

    return run


def _as_far_as(expected: object, got: object, within: Mapping[str, float]) -> object:
    """What is in *got* of that which *expected* has; a number near enough becomes the expected."""
    match expected, got:
        case dict(), dict():
            known = [name for name in expected if name in got]
            return {name: _as_far_as(expected[name], got[name], within) for name in known}
        case list(), list() if len(expected) == len(got):
            pairs = zip(expected, got, strict=True)
            return [_as_far_as(one, other, within) for one, other in pairs]
        case float(), float() | int() if math.isclose(expected, got, **within):
            return expected
    return got
