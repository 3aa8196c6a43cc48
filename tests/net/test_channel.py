"""Two ends of a channel: messages come whole and in order, and whoever leaves is noticed."""

import struct
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from meshproxy.net import channel as module
from meshproxy.net.channel import MAX_MESSAGE, Channel
from tests.kit.wire import WAIT_S

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = Channel.pair()
    other = Channel.inherited(theirs.detach())
    yield ours, other
    ours.close()
    other.close()


def test_messages_come_whole_and_in_order(pair: Pair) -> None:
    ours, theirs = pair
    messages = [["drain", None], ["metrics", [1, "é\ud800"], 0.5], ["text", "x" * 300_000], []]
    sending = gevent.spawn(lambda: [ours.send(*message) for message in messages])
    assert [theirs.receive() for _ in messages] == messages
    assert sending.get() == [True] * 4


def test_messages_of_several_greenlets_do_not_mix(pair: Pair) -> None:
    ours, theirs = pair
    texts = [letter * 400_000 for letter in "abcd"]
    sending = [gevent.spawn(ours.send, text) for text in texts]
    received = sorted(str((theirs.receive() or [""])[0]) for _ in texts)
    gevent.joinall(sending, raise_error=True)
    assert received == texts


def test_an_end_that_is_closed_is_noticed_by_the_other(pair: Pair) -> None:
    ours, theirs = pair
    waiting = gevent.spawn(theirs.receive)
    gevent.sleep(0)
    ours.close()
    assert waiting.get(timeout=WAIT_S) is None
    assert (ours.send("late"), theirs.send("late")) == (False, False)


def test_closing_ends_our_own_wait(pair: Pair) -> None:
    ours, _ = pair
    waiting = gevent.spawn(ours.receive)
    gevent.sleep(0)
    ours.close()
    assert waiting.get(timeout=WAIT_S) is None


@pytest.mark.parametrize(
    "sent",
    [b"", b"\0\0", b"\0\0\0\x05[1", struct.pack("!I", MAX_MESSAGE + 1), b"\0\0\0\x02[x"],
    ids=["nothing", "half a length", "half a message", "too long", "not JSON"],
)
def test_what_is_no_message_is_an_end(sent: bytes) -> None:
    ours, theirs = Channel.pair()
    with theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        assert ours.receive() is None
    assert not ours.is_open


def test_a_peer_that_does_not_read_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.05)
    ours, _ = pair
    assert not ours.send("x" * 2_000_000)
    assert not ours.is_open
