"""The end of a body is told once, in order, to those who asked before it came."""

import pytest

from meshproxy.http.ending import Ending


@pytest.mark.parametrize("broken", [False, True])
def test_callbacks_are_called_in_order_with_the_way_it_ended(broken: bool) -> None:
    ending, told = Ending(), []
    ending.then(lambda how: told.append(("first", how)))
    ending.then(lambda how: told.append(("second", how)))
    assert (ending.is_settled, ending.has_come) == (False, False)
    ending.come(broken)
    assert told == [("first", broken), ("second", broken)]
    assert (ending.is_settled, ending.has_come) == (True, True)


def test_it_is_settled_for_the_callbacks_already() -> None:
    ending, seen = Ending(), []
    ending.then(lambda _: seen.append(ending.is_settled))
    ending.come(broken=False)
    assert seen == [True]


def test_who_asks_after_the_end_is_told_so() -> None:
    ending = Ending(is_settled=True)
    ending.then(lambda _: None)
    ending.come(broken=False)
    with pytest.raises(RuntimeError, match="has come"):
        ending.then(lambda _: None)
