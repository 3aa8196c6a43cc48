"""Others run while something long is made."""

import gevent
import pytest

from meshproxy.net import slices
from meshproxy.net.slices import Slices
from meshproxy.net.turn import next_turn
from tests.kit.clock import FakeClock


def test_others_run_once_a_slice_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(slices, "monotonic", clock)
    turns: list[float] = []

    def count() -> None:
        while True:
            turns.append(clock())
            next_turn()

    subject = Slices()
    other = gevent.spawn(count)
    subject.rest()
    assert turns == []
    clock.advance(slices.SLICE_S * 1.01)
    subject.rest()
    assert len(turns) == 1
    subject.rest()
    assert len(turns) == 1
    other.kill()
