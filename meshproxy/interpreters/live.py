"""A result that is computed again whenever an answer that it used has changed.

This is what twitter util's Activity.flatMap does for finagle's Namer.bind, without a chain of
observers as deep as the name: the computation starts over and keeps the answers it uses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from meshproxy.var import PENDING, Activity, Ok, Source, State, Var

T = TypeVar("T")
U = TypeVar("U")


def _nothing() -> None:
    """Closes nothing."""


@dataclass(slots=True)
class _Answer:
    """A live answer in use: its latest state, and the function that stops following it."""

    state: State[Any] = PENDING
    is_followed: bool = False
    close: Callable[[], None] = _nothing


class Answers:
    """The live answers that one computation has asked for, by question."""

    __slots__ = ("_changed", "_kept", "_used")

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._kept: dict[object, _Answer] = {}
        self._used: set[object] = set()

    def get(self, question: object, ask: "Callable[[], U | Activity[U]]") -> State[U]:
        """Returns the present answer; a live one is asked for once and then followed."""
        answer = self._kept.get(question)
        if answer is None:
            found = ask()
            if not isinstance(found, Var):
                return Ok(found)
            answer = self._kept[question] = self._follow(found)
        self._used.add(question)
        return answer.state

    def release_unused(self) -> None:
        """Stops following answers that were not used since the last call."""
        unused = [self._kept.pop(question) for question in self._kept.keys() - self._used]
        self._used = set()
        for answer in unused:
            answer.close()

    def release(self) -> None:
        """Stops following all answers."""
        self._used = set()
        self.release_unused()
        self._changed = _nothing

    def _follow(self, activity: Activity[Any]) -> _Answer:
        answer = _Answer()

        def take(state: State[Any]) -> None:
            answer.state = state
            if answer.is_followed:
                self._changed()

        answer.close = activity.observe(take)
        answer.is_followed = True
        return answer


class _Following(Generic[T]):
    """Runs a computation and runs it again after every change."""

    __slots__ = ("_answers", "_compute", "_emit", "_is_running", "_is_stale")

    def __init__(
        self, compute: Callable[[Answers], State[T]], emit: Callable[[State[T]], None]
    ) -> None:
        self._compute = compute
        self._emit = emit
        self._answers = Answers(self._run)
        self._is_running = False
        self._is_stale = False

    def start(self) -> Callable[[], None]:
        """Computes for the first time; returns the function that stops following all answers."""
        try:
            self._run()
        except BaseException:
            self._answers.release()
            raise
        return self._answers.release

    def _run(self) -> None:
        """Computes until no answer changes meanwhile, then publishes."""
        self._is_stale = True
        if self._is_running:
            return
        self._is_running = True
        try:
            state: State[T] = PENDING
            while self._is_stale:
                self._is_stale = False
                state = self._compute(self._answers)
                self._answers.release_unused()
        finally:
            self._is_running = False
        self._emit(state)


def follow(compute: Callable[[Answers], State[T]]) -> Activity[T]:
    """Returns the result of *compute*, which is computed only while it is observed."""
    return Source(lambda emit: _Following(compute, emit).start(), PENDING)
