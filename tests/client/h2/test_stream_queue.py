"""Waits for a stream: their order, their end, and what becomes of a place that nobody takes."""

import gevent
import pytest
from gevent.event import AsyncResult

from meshproxy.client.h2.session import ClientSession
from meshproxy.errors import PoolFull, TimedOutConnecting, TimedOutInQueue
from tests.kit.k8s import wait_until

from .conftest import TWO_STREAMS, Held, asking, settled, to_endpoint


def test_who_waits_too_long_for_a_stream_goes() -> None:
    held = Held()
    with to_endpoint(held, TWO_STREAMS, max_size=1, max_waiters=1) as (sessions, _):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        sending = asking(sessions, 2)
        wait_until(lambda: len(held.waiting) == 2)
        with pytest.raises(TimedOutInQueue):
            sessions.send(seconds=0.05)
        late = asking(sessions, 1)
        wait_until(lambda: sessions.metrics.gauge("pool_waiters").read() == 1)
        with pytest.raises(PoolFull, match="maxWaiters"):
            sessions.send()
        held.answer()
        wait_until(lambda: held.waiting)
        held.answer()
        assert [each.get().status for each in sending + late] == [200] * 3
        assert sessions.count("pool_num_too_many_waiters") == 1


def test_who_cannot_wait_for_the_connection_goes_and_it_is_there_for_the_next() -> None:
    with to_endpoint() as (sessions, endpoint):
        with pytest.raises(TimedOutConnecting):
            sessions.send(seconds=0.0)
        assert sessions.send().status == 200
        assert len(endpoint.peers) == 1


def test_a_place_that_comes_as_its_owner_gives_up_is_free_again() -> None:
    with to_endpoint() as (sessions, _):
        sessions.send()
        (session,) = sessions._sessions
        turn: AsyncResult[ClientSession] = AsyncResult()
        session.promised = 1
        turn.set(session)
        sessions._queue._give_up(turn)
        assert session.promised == 0


def test_streams_are_given_in_order_of_arrival() -> None:
    held, served = Held(), []
    with to_endpoint(held, TWO_STREAMS, max_size=1) as (sessions, _):
        sessions.script = held  # type: ignore[attr-defined]
        settled(sessions)
        sending = asking(sessions, 2)
        wait_until(lambda: len(held.waiting) == 2)
        for number in range(3):
            (late,) = asking(sessions, 1)
            late.link(lambda _, number=number: served.append(number))
            wait_until(lambda number=number: len(sessions._queue.turns) == number + 1)
            sending.append(late)
        for _ in sending:
            wait_until(lambda: held.waiting)
            held.answer(1)
        gevent.joinall(sending)
        assert served == [0, 1, 2]
