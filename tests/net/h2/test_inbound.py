"""A body arrives: read by a greenlet, or coupled to another stream, always with back-pressure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from h2.events import StreamReset, TrailersReceived, WindowUpdated

from meshproxy.errors import BodyTooLarge, ClientGone, RequestTimedOut
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import ClientReset
from meshproxy.net.h2 import inbound
from meshproxy.net.h2.inbound import Inbound
from meshproxy.net.stream import wait_either
from tests.kit.h2_wire import GET, POST, Bare, H2Wire, Owner, answer, bare, until
from tests.kit.pair import plain
from tests.kit.wire import WAIT_S

WINDOW = 65535


@contextmanager
def uploading(**body: Any) -> Iterator[tuple[H2Wire, Owner, Inbound]]:
    """Give a client that has begun to send a body, its stream's owner, and the body."""
    with bare() as (session, sock):
        session.body |= body
        wire = H2Wire(sock)
        owner = session.owner(wire.ask(POST, ends=False))
        assert owner.inbound is not None
        yield wire, owner, owner.inbound


def test_pieces_are_read_as_they_come() -> None:
    with uploading() as (wire, _, body):
        reading = gevent.spawn(lambda: [body.read(), body.read(), body.read()])
        until(lambda: body._waiter is not None)
        wire.send(1, b"one")
        until(lambda: body._waiter is not None and body._kept.size == 3)
        wire.send(1, b"two", ends=True)
        assert reading.get(timeout=WAIT_S) == [b"one", b"two", b""]
        assert body.is_complete


def test_trailers_end_a_body() -> None:
    with uploading() as (wire, _, body):
        wire.send(1, b"x")
        wire.h2.send_headers(1, [("a", "b")], end_stream=True)
        wire.flush()
        assert list(body) == [b"x"]
        assert body.trailers is not None
        assert body.trailers.get("a") == "b"


def test_what_is_not_read_is_not_granted_again() -> None:
    with uploading() as (wire, _, body):
        sent = wire.fill(1)
        until(lambda: body.held == sent)
        reading = gevent.spawn(lambda: (body.read(), body.read()))
        assert wire.until(WindowUpdated, 1).delta == sent, "once it asked for more"
        reading.kill()


def test_a_reset_reaches_the_reader_after_what_has_come() -> None:
    with uploading() as (wire, _, body):
        wire.send(1, b"some")
        wire.h2.reset_stream(1, ErrorCode.CANCEL)
        wire.flush()
        until(lambda: body._failure)
        assert body.read() == b"some"
        with pytest.raises(ClientReset):
            body.read()
        assert not body.is_complete


def test_a_body_that_is_too_large() -> None:
    with uploading(max_bytes=10) as (wire, owner, body):
        wire.send(1, bytes(11))
        until(lambda: body._failure)
        with pytest.raises(BodyTooLarge):
            body.read()
        assert owner.failure is None, "the stream is still there to say so"
        assert body.held == 0


def test_a_gap_that_is_too_long() -> None:
    with uploading(idle_seconds=0.05) as (_, owner, body):
        with pytest.raises(RequestTimedOut):
            body.read()
        assert body.is_broken is False
        assert ("input_closed", None) in owner.said


def test_what_is_kept_is_read_again() -> None:
    with uploading(keep_bytes=6) as (wire, _, body):
        wire.send(1, b"abc")
        until(lambda: body.has_piece)
        assert body.read() == b"abc"
        body.rewind()
        assert body.has_piece
        wire.send(1, b"def", ends=True)
        until(lambda: body.is_complete)
        assert b"".join(body) == b"abcdef"
        assert body.is_replayable
        body.rewind()
        assert b"".join(body) == b"abcdef"
        body.keep_at_most(5)
        assert not body.is_replayable


def test_what_is_too_long_to_keep() -> None:
    with uploading(keep_bytes=2) as (wire, _, body):
        wire.send(1, b"abc", ends=True)
        assert b"".join(body) == b"abc"
        assert not body.is_replayable


def test_a_reader_may_wait_for_something_else_too() -> None:
    with uploading() as (wire, _, body), plain() as (stream, other):
        reading = gevent.spawn(body.read, stream)
        until(lambda: body._waiter is not None)
        other.sendall(b"!")
        assert reading.get(timeout=WAIT_S) is None
        with plain() as (quiet, _):
            wire.send(1, b"here")
            assert body.read(quiet) == b"here"


def announced(wire: H2Wire, session: Bare, length: int) -> Owner:
    """Begin a request that announces *length* bytes."""
    return session.owner(wire.ask((*POST, ("content-length", str(length))), ends=False))


def test_after_all_that_was_announced_the_end_is_waited_for_briefly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound, "_END_SECONDS", 0.05)
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = announced(wire, session, 4)
        assert owner.inbound is not None
        wire.send(1, b"page")
        assert owner.inbound.read() == b"page"
        with pytest.raises(RequestTimedOut):
            owner.inbound.read()
        assert owner.said == [("input_closed", None)]
        assert session.unended_streams == 1


def test_a_body_that_has_not_all_come_has_its_full_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound, "_END_SECONDS", 0.0)
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = announced(wire, session, 4)
        body = owner.inbound
        assert body is not None
        wire.send(1, b"pag")
        assert body.read() == b"pag"
        reading = gevent.spawn(body.read)
        until(lambda: body._waiter is not None)
        wire.send(1, b"e", ends=True)
        assert reading.get(timeout=WAIT_S) == b"e"
        assert body.read() == b""


def test_something_else_may_wait_for_a_body() -> None:
    with uploading() as (wire, _, body), plain() as (stream, _):
        waiting = gevent.spawn(wait_either, stream, body, float("inf"))
        until(lambda: body._waiter is not None)
        wire.send(1, b"here")
        assert waiting.get(timeout=WAIT_S) is True


def test_a_client_that_waits_is_asked_once() -> None:
    with uploading() as (wire, _, body):
        asked: list[None] = []
        body.invite = lambda: asked.append(None)
        reading = gevent.spawn(body.read)
        until(lambda: asked)
        wire.send(1, b"x", ends=True)
        assert reading.get(timeout=WAIT_S) == b"x"
        assert body.read() == b""
        assert len(asked) == 1


def test_the_end_may_be_awaited_without_reading() -> None:
    with uploading() as (wire, _, body):
        assert body.await_end(10, 0.01) is False
        wire.send(1, b"x" * 20)
        until(lambda: body.held == 20)
        assert body.await_end(10, 10) is False
        waiting = gevent.spawn(body.await_end, 20, 10)
        wire.send(1, b"", ends=True)
        assert waiting.get(timeout=WAIT_S) is True
        assert body.read() == b"x" * 20


@pytest.mark.parametrize("ends", ["complete", "reset", "close"])
def test_the_end_is_told_once(ends: str) -> None:
    with uploading() as (wire, _, body):
        told: list[bool] = []
        body.on_end = told.append
        if ends == "complete":
            wire.send(1, b"x", ends=True)
        elif ends == "reset":
            wire.h2.reset_stream(1)
            wire.flush()
        else:
            body.close()
        until(lambda: told)
        body.close()
        assert told == [False]


def test_closing_grants_what_was_held() -> None:
    with uploading() as (wire, owner, body):
        wire.send(1, bytes(40_000))
        until(lambda: body.held)
        body.close()
        assert wire.until(WindowUpdated, 1).delta == 40_000
        assert ("input_closed", None) in owner.said
        with pytest.raises(ClientGone):
            body.read()


# Coupled: what comes in on one stream goes out on another, of another session.


@contextmanager
def coupled(**local: Any) -> Iterator[tuple[H2Wire, Owner, H2Wire, Owner]]:
    """Give a sender and a receiver, each with its stream; the streams are coupled."""
    with bare(**local) as (source, one), bare() as (sink, two):
        sender, receiver = H2Wire(one), H2Wire(two)
        from_ = source.owner(sender.ask(POST, ends=False))
        to = sink.owner(receiver.ask(GET))
        answer(to)
        assert from_.inbound is not None
        from_.inbound.couple(to.outbound)
        yield sender, from_, receiver, to


def test_a_coupled_body_goes_through() -> None:
    with coupled() as (sender, _, receiver, to):
        sender.send(1, b"one ")
        sender.send(1, bytes(10_000))
        sender.send(1, b" end", ends=True)
        assert receiver.body(1) == b"one " + bytes(10_000) + b" end"
        assert to.said == [("output_ended", None)]


def test_coupled_trailers_go_through() -> None:
    with coupled() as (sender, _, receiver, _to):
        sender.send(1, b"x")
        sender.h2.send_headers(1, [("grpc-status", "5")], end_stream=True)
        sender.flush()
        assert receiver.until(TrailersReceived).headers == [("grpc-status", "5")]


@pytest.mark.parametrize("trailers", [False, True])
def test_what_came_before_is_coupled_too(trailers: bool) -> None:
    with bare() as (source, one), bare() as (sink, two):
        sender, receiver = H2Wire(one), H2Wire(two)
        from_ = source.owner(sender.ask(POST, b"all of it", ends=not trailers))
        if trailers:
            sender.h2.send_headers(1, [("a", "b")], end_stream=True)
            sender.flush()
        to = sink.owner(receiver.ask(GET))
        answer(to)
        body = from_.inbound
        assert body is not None
        until(lambda: body.is_complete)
        body.couple(to.outbound)
        assert receiver.body(1) == b"all of it"


def test_the_slower_side_governs() -> None:
    with coupled() as (sender, from_, receiver, to):
        sent = 0
        while not to.outbound.is_blocked:
            sent += sender.fill(1)
            sender.glance()
        sent += sender.fill(1)
        assert sent <= 2 * WINDOW, "one window on its way, and one held for the receiver"
        assert from_.failure is None
        reading = gevent.spawn(receiver.body, 1)
        sender.until(WindowUpdated, 1)
        sender.send(1, b"", ends=True)
        assert len(reading.get(timeout=WAIT_S)) == sent


def test_a_source_that_breaks_resets_the_sink() -> None:
    with coupled() as (sender, _, receiver, to):
        sender.h2.reset_stream(1)
        sender.flush()
        assert receiver.until(StreamReset).error_code == ErrorCode.INTERNAL_ERROR
        assert to.said == [("source_failed", ClientReset)]


def test_a_sink_that_is_reset_leaves_the_body_to_its_owner() -> None:
    with coupled() as (sender, from_, receiver, _to):
        receiver.h2.reset_stream(1, ErrorCode.ENHANCE_YOUR_CALM)
        receiver.flush()
        until(lambda: from_.said)
        assert from_.said == [("sink_lost", ErrorCode.ENHANCE_YOUR_CALM)]
        body = from_.inbound
        assert body is not None
        sender.send(1, b"late", ends=True)
        assert body.read() == b"late"


def test_a_coupled_source_that_says_nothing_is_ended() -> None:
    with bare() as (source, one), bare() as (sink, two):
        source.body = {"idle_seconds": 0.05}
        from_, to = _pair_up(source, one, sink, two)
        until(lambda: to.failure is not None)
        assert to.said == [("source_failed", RequestTimedOut)]
        assert from_.inbound is not None


def _pair_up(source: Bare, one: Any, sink: Bare, two: Any) -> tuple[Owner, Owner]:
    from_ = source.owner(H2Wire(one).ask(POST, ends=False))
    to = sink.owner(H2Wire(two).ask(GET))
    answer(to)
    assert from_.inbound is not None
    from_.inbound.couple(to.outbound)
    return from_, to


def test_a_coupled_body_is_kept_and_coupled_again() -> None:
    with bare() as (source, one), bare() as (sink, two):
        source.body |= {"keep_bytes": 100}
        sender, receiver = H2Wire(one), H2Wire(two)
        from_ = source.owner(sender.ask(POST, b"first ", ends=False))
        first, second = (sink.owner(receiver.ask(GET)) for _ in range(2))
        body = from_.inbound
        assert body is not None
        for to in (first, second):
            answer(to)
        until(lambda: body.held)
        body.couple(first.outbound)
        sender.send(1, b"second ")
        until(lambda: body._kept.size == 13)
        receiver.h2.reset_stream(1)
        receiver.flush()
        until(lambda: from_.said)
        assert body.is_replayable
        body.rewind()
        body.couple(second.outbound)
        sender.send(1, b"third", ends=True)
        assert receiver.body(3) == b"first second third"
