"""What cannot be built: all of it at once, each with its place, the missing told from the wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest

from meshproxy.config.errors import NotHere, Problem, Severity
from meshproxy.config.model import Kinded
from meshproxy.errors import TlsFailed
from meshproxy.runtime.building import CannotStart, Problems, build, refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Kinded):
    kind: ClassVar[str] = "part"
    offers: ClassVar[str] = "upper"
    make: Callable[[], object]

    def build(self, deps: object) -> object:
        del deps
        return self.make()


def failing(error: Exception) -> Part:
    def fail() -> object:
        raise error

    return Part(make=fail)


def problem(part: Part) -> Problem:
    with pytest.raises(CannotStart) as caught:
        build(part, "a.b", lambda: None)
    (found,) = caught.value.problems
    assert found.key == "a.b"
    return found


def test_what_is_built_has_what_its_category_offers() -> None:
    assert build(Part(make=lambda: "text"), "a.b", lambda: None) == "text"
    assert problem(Part(make=lambda: 5)).what == "part builds a int without upper"


@pytest.mark.parametrize(
    ("error", "what", "severity"),
    [
        (ValueError("no"), "no", Severity.ERROR),
        (TlsFailed("no"), "no", Severity.ERROR),
        (PermissionError(13, "no"), "[Errno 13] no", Severity.ERROR),
        (NotHere("no"), "no", Severity.MISSING),
        (FileNotFoundError("no"), "no", Severity.MISSING),
        (KeyError("no"), "part cannot be built: KeyError: 'no'", Severity.ERROR),
    ],
)
def test_why_it_cannot_be_built(error: Exception, what: str, severity: Severity) -> None:
    assert problem(failing(error)) == Problem(what, "a.b", severity)


def test_what_the_parts_are_given_may_be_missing_too() -> None:
    def deps() -> object:
        raise NotHere("unset")

    with pytest.raises(CannotStart, match=r"^a: unset$"):
        build(Part(make=lambda: "text"), "a", deps)


def test_a_cause_that_is_missing_counts() -> None:
    error = ValueError("cannot use x.pem")
    error.__cause__ = FileNotFoundError()
    assert refused(error, "a").problems == (Problem("cannot use x.pem", "a", Severity.MISSING),)


def test_problems_are_collected_and_told_together() -> None:
    problems = Problems()
    with problems.noted():
        pass
    problems.refuse_any()
    for one in (CannotStart(Problem("no", "a"), Problem("nor", "b")), CannotStart("none")):
        with problems.noted():
            raise one
    with pytest.raises(CannotStart, match=r"^a: no\nb: nor\nnone$") as caught:
        problems.refuse_any()
    assert [one.key for one in caught.value.problems] == ["a", "b", None]
