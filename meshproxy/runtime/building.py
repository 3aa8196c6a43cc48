"""Builds the objects of a configuration; what fails becomes an error with its place."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from meshproxy.config.errors import NotHere, Problem, Severity
from meshproxy.config.model import Kinded
from meshproxy.errors import ProxyError


class CannotStart(Exception):
    """Something outside the configuration prevents the start: a port, a credential, a variable.

    `problems` has all of them; the key of each is its path in the file, or None.
    """

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = tuple(Problem(one) if isinstance(one, str) else one for one in problems)
        super().__init__(
            "\n".join(f"{one.key}: {one.what}" if one.key else one.what for one in self.problems)
        )


class Problems(list[Problem]):
    """The reasons why parts of a configuration cannot be built, reported together."""

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Suppresses a CannotStart and keeps its problems."""
        try:
            yield
        except CannotStart as error:
            self.extend(error.problems)

    def refuse_any(self) -> None:
        """Raises CannotStart if there are any."""
        if self:
            raise CannotStart(*self)


def build(config: Kinded, where: str, deps: Callable[[], object]) -> Any:
    """Returns the product of *config*, which is at the path *where* of the file, from *deps*.

    Raises CannotStart, also if a plugin fails or its product lacks what its category offers.
    """
    try:
        built = config.build(deps())  # type: ignore[attr-defined] # each base declares its own
    except CannotStart:
        raise
    except (ValueError, OSError, ProxyError) as error:
        raise refused(error, where) from error
    except Exception as error:
        what = f"{config.kind} cannot be built: {type(error).__name__}: {error}"
        raise CannotStart(Problem(what, where)) from error
    missing = config.lacks(built)
    if missing is not None:
        raise CannotStart(Problem(missing, where))
    return built


def refused(error: Exception, where: str) -> CannotStart:
    """Returns CannotStart for *error*, which prevents building what is at the path *where*."""
    causes = (error, error.__cause__)
    is_missing = any(isinstance(cause, NotHere | FileNotFoundError) for cause in causes)
    severity = Severity.MISSING if is_missing else Severity.ERROR
    return CannotStart(Problem(str(error), where, severity))
