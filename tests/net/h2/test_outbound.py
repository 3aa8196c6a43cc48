"""A body goes out within windows, ends as it should, and holds its writer back."""

import gevent
import pytest
from h2.events import DataReceived, StreamEnded, StreamReset, TrailersReceived

from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import ClientReset
from meshproxy.http.headers import of
from meshproxy.http.limits import Limits
from tests.kit.h2_wire import H2Wire, Owner, answer, bare, until
from tests.kit.wire import WAIT_S

WINDOW = 65535


def test_what_the_window_allows_is_sent_and_the_rest_when_it_opens() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask())
        answer(owner)
        owner.outbound.push(bytes(WINDOW + 100), ends=True)
        assert owner.outbound.is_blocked
        assert wire.body(1) == bytes(WINDOW + 100)
        assert owner.said == [("output_ended", None)]
        assert not session.stalled


def test_trailers_wait_for_the_body() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask())
        answer(owner)
        owner.outbound.push(bytes(WINDOW + 1))
        owner.outbound.finish(of((b"Grpc-Status", b"0")))
        assert owner.said == []
        for _ in range(4):
            wire.until(DataReceived)
        wire.h2.increment_flow_control_window(10, 1)
        wire.h2.increment_flow_control_window(10)
        wire.flush()
        assert wire.until(TrailersReceived).headers == [("grpc-status", "0")]
        assert owner.said == [("output_ended", None)]


@pytest.mark.parametrize("pieces", [[], [b"a"], [b"a", b"b"]])
def test_an_end_without_trailers(pieces: list[bytes]) -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask())
        answer(owner)
        owner.outbound.write_all(pieces)
        owner.outbound.finish(None)
        assert wire.body(1) == b"".join(pieces)
        assert owner.said == [("output_ended", None)]


def test_a_writer_waits_for_the_window_and_may_then_change_its_piece() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask())
        answer(owner)
        piece = bytearray(b"x" * (WINDOW + 10))

        def write() -> None:
            owner.outbound.write(memoryview(piece))
            owner.outbound.finish(None)

        writing = gevent.spawn(write)
        until(lambda: owner.outbound.is_blocked)
        piece[:] = b"y" * len(piece)
        assert wire.body(1) == b"x" * (WINDOW + 10)
        writing.get(timeout=WAIT_S)


def test_a_writer_learns_of_a_reset() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask())
        answer(owner)
        writing = gevent.spawn(owner.outbound.write, bytes(WINDOW + 10))
        until(lambda: owner.outbound.is_blocked)
        wire.h2.reset_stream(1, ErrorCode.CANCEL)
        wire.flush()
        with pytest.raises(ClientReset):
            writing.get(timeout=WAIT_S)
        with pytest.raises(ClientReset):
            owner.outbound.write(b"more")


def test_a_reader_that_stalls_loses_its_stream_alone() -> None:
    with bare(Limits(write_timeout=0.05)) as (session, sock):
        wire = H2Wire(sock)
        stalled, other = session.owner(wire.ask()), session.owner(wire.ask())
        wire.h2.increment_flow_control_window(1000)
        wire.flush()
        answer(stalled)
        stalled.outbound.push(bytes(WINDOW + 10))
        assert wire.until(StreamReset).error_code == ErrorCode.CANCEL
        assert ("stalled", None) in stalled.said
        assert other.failure is None
        assert not session.is_closed


def test_nothing_is_sent_after_the_end() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner: Owner = session.owner(wire.ask())
        answer(owner)
        owner.outbound.push(b"all", ends=True)
        owner.outbound.push(b"more")
        owner.outbound.finish(of((b"late", b"1")))
        assert wire.body(1) == b"all"
        assert session.engine.open_streams == 0


def test_a_window_that_settings_enlarge() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        wire.h2.increment_flow_control_window(WINDOW)
        wire.flush()
        owner = session.owner(wire.ask())
        answer(owner)
        owner.outbound.push(bytes(WINDOW + 10), ends=True)
        for _ in range(4):
            wire.until(DataReceived)
        wire.h2.update_settings({4: WINDOW + 10})
        wire.flush()
        wire.until(StreamEnded)


def test_what_windows_have_cut_is_sent_together() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask())
        answer(owner)
        owner.outbound.push(bytes(WINDOW))
        pieces = [b"a" * 5000, b"b" * 11_000, b"c" * 10_000, b"d", b"e"]
        for piece in pieces:
            owner.outbound.push(piece)
        owner.outbound.finish(None)
        for _ in range(4):
            wire.until(DataReceived)
        wire.h2.increment_flow_control_window(WINDOW, 1)
        wire.h2.increment_flow_control_window(WINDOW)
        wire.flush()
        sent = [wire.until(DataReceived).data for _ in range(3)]
        assert sent == [pieces[0] + pieces[1], pieces[2], pieces[3] + pieces[4]]
        wire.until(StreamEnded)
