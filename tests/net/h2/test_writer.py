"""One send a turn, a backlog while the peer does not read, and turns for bodies."""

import pytest
from h2.events import DataReceived, ResponseReceived

from meshproxy.http.limits import Limits
from tests.kit.h2 import sendable
from tests.kit.h2_wire import H2Wire, answer, bare, raw_frames, until

BIG = bytes(16 << 20)
"""More than the kernel buffers."""


def test_all_of_a_turn_leaves_together(monkeypatch: pytest.MonkeyPatch) -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owners = [session.owner(wire.ask()) for _ in range(3)]
        until(lambda: not session.is_queued)
        sent: list[int] = []
        send = session.stream.send_some

        def counted(_: object, data: bytes) -> int:
            sent.append(len(data))
            return send(data)

        monkeypatch.setattr(type(session.stream), "send_some", counted)
        for owner in owners:
            answer(owner, ends=True)
        for _ in owners:
            wire.until(ResponseReceived)
        assert len(sent) == 1


def test_a_backlog_is_sent_when_the_peer_reads_again() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock, window=(1 << 31) - 1)
        owner = session.owner(wire.ask())
        until(lambda: sendable(session.engine, owner) > len(BIG))
        answer(owner)
        owner.outbound.push(BIG, ends=True)
        until(lambda: session.is_blocked)
        assert owner.outbound.is_blocked, "what the socket did not take is not put behind it"
        assert wire.body(1) == BIG
        assert not session.is_blocked


def test_a_peer_that_does_not_read_is_reset() -> None:
    with bare(Limits(write_timeout=0.05)) as (session, sock):
        wire = H2Wire(sock, window=(1 << 31) - 1)
        owner = session.owner(wire.ask())
        until(lambda: sendable(session.engine, owner) > len(BIG))
        answer(owner)
        owner.outbound.push(BIG, ends=True)
        until(lambda: session.is_closed)
        assert session.ending == "write_timeout"
        assert len(raw_frames(sock)) < len(BIG)


def test_bodies_take_turns() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock, window=1 << 20)
        owners = [session.owner(wire.ask()) for _ in range(2)]
        until(lambda: sendable(session.engine, owners[1]) == 1 << 20)
        session.room = 0
        for owner in owners:
            answer(owner)
            owner.outbound.push(bytes(60_000), ends=True)
        order = [wire.until(DataReceived).stream_id for _ in range(8)]
        assert order == [1, 1, 3, 3, 1, 1, 3, 3], "two frames each"


def test_half_of_a_usual_window_is_one_turn() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owners = [session.owner(wire.ask()) for _ in range(3)]
        answer(owners[0])
        owners[0].outbound.push(bytes(65535))
        for owner in owners[1:]:
            answer(owner)
            owner.outbound.push(bytes(60_000))
        for _ in range(4):
            wire.until(DataReceived)
        wire.h2.increment_flow_control_window(40_000)
        wire.flush()
        sent = [wire.until(DataReceived) for _ in range(3)]
        assert [one.stream_id for one in sent] == [3, 3, 3]
        assert [len(one.data) for one in sent] == [16384, 16384, 40_000 - 2 * 16384]


def test_every_other_turn_is_a_newcomers() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owners = [session.owner(wire.ask()) for _ in range(7)]
        for owner in owners:
            answer(owner)

        def turns(count: int) -> list[int]:
            order = []
            for _ in range(count):
                wire.h2.increment_flow_control_window(10_000)
                wire.flush()
                order.append(wire.until(DataReceived).stream_id)
            return order

        owners[0].outbound.push(bytes(65535))
        for owner in owners[1:4]:
            owner.outbound.push(bytes(50_000))
        for _ in range(4):
            wire.until(DataReceived)
        assert turns(3) == [3, 5, 7]
        for owner in owners[4:]:
            owner.outbound.push(bytes(10_000), ends=True)
        assert turns(6) == [3, 9, 5, 11, 7, 13]
        assert turns(3) == [3, 5, 7]


def test_turns_go_on_where_a_window_has_ended_them() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owners = [session.owner(wire.ask()) for _ in range(3)]
        answer(owners[0])
        owners[0].outbound.push(bytes(65535))
        for owner in owners[1:]:
            answer(owner)
            owner.outbound.push(bytes(20_000))
        for _ in range(4):
            wire.until(DataReceived)
        order = []
        for _ in range(4):
            wire.h2.increment_flow_control_window(10_000)
            wire.flush()
            order.append(wire.until(DataReceived).stream_id)
        assert order == [3, 5, 3, 5]
