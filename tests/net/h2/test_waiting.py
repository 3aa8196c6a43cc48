"""A wait that ends by a call or in time."""

import gevent
import pytest

from meshproxy.net.h2.waiting import Waiting
from meshproxy.net.stream import StreamTimeout
from tests.kit.h2_wire import bare, until
from tests.kit.wire import WAIT_S


def test_a_wait_ends_after_the_read() -> None:
    with bare() as (session, _):
        waiting = Waiting()
        other = gevent.spawn(waiting.wait, float("inf"))
        until(lambda: waiting._waiter is not None)
        waiting.resume_soon(session)
        waiting.resume_soon(session)
        other.get(timeout=WAIT_S)
        waiting.resume_soon(session)
        assert not session._woken


def test_a_wait_ends_in_time() -> None:
    waiting = Waiting()
    with gevent.Timeout(10), pytest.raises(StreamTimeout):
        waiting.wait(0.0)
