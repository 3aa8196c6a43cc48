"""What a session has received: when it is read, how long a head may take, who is called after."""

import gevent
import pytest

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode
from meshproxy.http.limits import Limits
from tests.kit.h2 import SETTINGS, headers, parsed
from tests.kit.h2_wire import POST, H2Wire, bare, raw_frames, until

HELLO = frames.PREFACE + SETTINGS + frames.SETTINGS_ACK


def test_bytes_that_were_read_before_are_the_first_ones() -> None:
    with bare() as (session, sock):
        sock.sendall(headers(1))
        session.soon(lambda: None)
        session._begin(HELLO)
        session.owner(1)


@pytest.mark.parametrize(
    "begun",
    [
        HELLO[:30],
        HELLO + headers(1)[:12],
        HELLO + frames.head(5, frames.HEADERS, 0, 1) + b"\x82\x86\x84\x01\x03",
    ],
    ids=["preface", "frame", "block"],
)
def test_a_head_that_never_ends(begun: bytes) -> None:
    with bare(Limits(head_seconds=0.05)) as (session, sock):
        sock.sendall(begun)
        assert parsed(raw_frames(sock))[-1].error_code == ErrorCode.ENHANCE_YOUR_CALM
        assert session.is_closed


def test_a_piece_of_data_that_is_on_its_way_is_not_a_head() -> None:
    with bare(Limits(head_seconds=0.05)) as (session, sock):
        wire = H2Wire(sock)
        session.owner(wire.ask(POST, ends=False))
        sock.sendall(frames.head(100, frames.DATA, 0, 1) + b"x")
        gevent.sleep(0)
        until(lambda: session.engine.reader._held)
        assert not session.engine.reader.is_within_head


def test_callbacks_come_after_the_whole_read_and_survive_one_that_fails() -> None:
    seen: list[str] = []

    def fails() -> None:
        seen.append("fails")
        raise ValueError("for the log")

    with bare() as (session, _):
        session.soon(fails)
        session.soon(lambda: seen.append("next"))
        until(lambda: "next" in seen)
        assert seen == ["fails", "next"]
