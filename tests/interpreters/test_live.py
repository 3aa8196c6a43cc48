"""Computations that follow the answers they use."""

from collections.abc import Callable

import pytest

from meshproxy.interpreters.live import Answers, follow
from meshproxy.var import PENDING, Activity, Failed, Ok, Source, State, Var


class Asked:
    """A live answer that counts who follows it."""

    def __init__(self, value: int) -> None:
        self.state: Var[State[int]] = Var(Ok(value))
        self.starts = 0
        self.stops = 0

    def ask(self) -> Activity[int]:
        def start(emit: Callable[[State[int]], None]) -> Callable[[], None]:
            self.starts += 1
            close = self.state.observe(emit)

            def stop() -> None:
                self.stops += 1
                close()

            return stop

        return Source(start, PENDING)

    @property
    def is_followed(self) -> bool:
        return self.starts > self.stops


def value_of(state: State[int]) -> int:
    assert isinstance(state, Ok)
    return state.value


def observed(activity: Activity[int]) -> tuple[list[State[int]], Callable[[], None]]:
    seen: list[State[int]] = []
    return seen, activity.observe(seen.append)


def test_a_fixed_answer_is_a_known_one() -> None:
    assert follow(lambda answers: answers.get("q", lambda: 3)).sample() == Ok(3)


def test_a_live_answer_is_asked_for_once_and_followed() -> None:
    one = Asked(1)
    seen, close = observed(follow(lambda answers: answers.get("q", one.ask)))
    one.state.set(Ok(2))
    one.state.set(PENDING)
    one.state.set(Failed(ValueError("x")))
    assert seen == [Ok(1), Ok(2), PENDING, Failed(ValueError("x"))]
    assert (one.starts, one.stops) == (1, 0)
    close()
    assert (one.starts, one.stops) == (1, 1)


def test_equal_results_are_told_once() -> None:
    one = Asked(1)
    seen, _ = observed(follow(lambda answers: Ok(value_of(answers.get("q", one.ask)) // 2)))
    one.state.set(Ok(2))
    one.state.set(Ok(3))
    assert seen == [Ok(0), Ok(1)]


def test_an_answer_no_longer_asked_for_is_let_go() -> None:
    first, second = Asked(0), Asked(5)

    def compute(answers: Answers) -> State[int]:
        found: State[int] = answers.get("first", first.ask)
        return answers.get("second", second.ask) if found == Ok(0) else found

    seen, close = observed(follow(compute))
    assert (first.is_followed, second.is_followed) == (True, True)
    first.state.set(Ok(1))
    assert (first.is_followed, second.is_followed) == (True, False)
    first.state.set(Ok(0))
    assert second.is_followed
    assert seen == [Ok(5), Ok(1), Ok(5)]
    close()
    assert (first.is_followed, second.is_followed) == (False, False)


def test_an_answer_that_changes_another_while_asked_is_seen_in_one_result() -> None:
    first, second = Asked(0), Asked(5)

    def ask_second() -> Activity[int]:
        first.state.set(Ok(10))
        return second.ask()

    def compute(answers: Answers) -> State[int]:
        found = value_of(answers.get("first", first.ask))
        return Ok(found + value_of(answers.get("second", ask_second)))

    seen, _ = observed(follow(compute))
    assert seen == [Ok(15)]


def test_a_computation_that_cannot_start_lets_go_of_its_answers() -> None:
    one = Asked(0)

    def compute(answers: Answers) -> State[int]:
        _: State[int] = answers.get("q", one.ask)
        raise KeyError

    with pytest.raises(KeyError):
        follow(compute).observe(lambda _state: None)
    assert (one.starts, one.stops) == (1, 1)


def test_two_observers_share_one_computation() -> None:
    one = Asked(1)
    activity: Activity[int] = follow(lambda answers: answers.get("q", one.ask))
    _, close_first = observed(activity)
    _, close_second = observed(activity)
    close_first()
    assert (one.starts, one.stops) == (1, 0)
    close_second()
    assert (one.starts, one.stops) == (1, 1)
