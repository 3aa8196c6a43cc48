"""A wait that ends by a call or in time."""

from math import inf

import gevent
import pytest

from meshproxy.net.h2.waiting import Waiting
from meshproxy.net.stream import StreamTimeout
from tests.kit.h2_wire import bare, until
from tests.kit.wire import WAIT_S


class Wait(Waiting):
    """A wait for nothing in particular."""

    def __init__(self) -> None:
        self._waiter = None
        self.deadline = self.filed_until = inf


def test_a_wait_ends_after_the_read() -> None:
    with bare() as (session, _):
        waiting = Wait()
        other = gevent.spawn(waiting.wait, inf)
        until(lambda: waiting._waiter is not None)
        waiting.resume_soon(session)
        waiting.resume_soon(session)
        other.get(timeout=WAIT_S)
        waiting.resume_soon(session)
        assert not session._woken


def test_a_wait_ends_in_time() -> None:
    waiting = Wait()
    with gevent.Timeout(10), pytest.raises(StreamTimeout):
        waiting.wait(0.0)
