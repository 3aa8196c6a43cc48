"""A session's socket: what ends it, and what it says then."""

import pytest
from h2.events import ResponseReceived, SettingsAcknowledged, StreamReset

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import ClientReset
from tests.kit.h2 import SETTINGS, headers, parsed
from tests.kit.h2_wire import POST, H2Wire, answer, bare, raw_frames, until

HELLO = frames.PREFACE + SETTINGS + frames.SETTINGS_ACK


def test_a_request_comes_and_an_answer_goes() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask())
        assert owner.head.path == b"/"
        answer(owner, ends=True)
        assert wire.until(ResponseReceived).stream_id == 1


def test_a_violation_is_told_before_the_end() -> None:
    with bare() as (session, sock):
        sock.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        last = parsed(raw_frames(sock))[-1]
        assert last.error_code == ErrorCode.PROTOCOL_ERROR
        sock.close()
        until(lambda: session.stream.sock is None)


def test_streams_end_with_the_connection() -> None:
    with bare() as (session, sock):
        owner = session.owner(H2Wire(sock).ask(POST, ends=False))
        sock.close()
        until(lambda: session.is_closed)
        assert isinstance(owner.failure, ClientReset)
        assert owner.failure.code == ErrorCode.CANCEL


def test_the_code_of_a_reset_is_kept() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask(POST, ends=False))
        wire.h2.reset_stream(1, ErrorCode.ENHANCE_YOUR_CALM)
        wire.flush()
        until(lambda: owner.failure is not None)
        assert isinstance(owner.failure, ClientReset)
        assert owner.failure.code == ErrorCode.ENHANCE_YOUR_CALM


def test_a_fault_of_one_stream_ends_that_alone() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        broken, sound = session.owner(wire.ask(POST, ends=False)), session.owner(wire.ask())
        sock.sendall(frames.window_update(1, 0))
        assert wire.until(StreamReset).error_code == ErrorCode.PROTOCOL_ERROR
        assert broken.failure is not None
        assert sound.failure is None


def test_goodbye_lets_the_streams_end() -> None:
    with bare() as (session, sock):
        sock.sendall(HELLO + headers(1))
        owner = session.owner(1)
        session.go_away()
        until(lambda: not session.is_queued)
        assert not session.is_closed
        answer(owner, ends=True)
        *_, goodbye, response = parsed(raw_frames(sock))
        assert (goodbye.last_stream_id, goodbye.error_code) == (1, ErrorCode.NO_ERROR)
        assert response.stream_id == 1


def test_a_client_that_says_goodbye_is_done_with_its_last_stream() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask())
        wire.h2.close_connection()
        wire.flush()
        until(lambda: session.is_ending)
        answer(owner, ends=True)
        wire.sock.settimeout(10)
        assert parsed(raw_frames(sock))[-1].stream_id == 1


def test_settings_must_be_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshproxy.net.h2.session._SETTINGS_SECONDS", 0.05)
    with bare() as (session, sock):
        sock.sendall(frames.PREFACE + SETTINGS)
        assert parsed(raw_frames(sock))[-1].error_code == ErrorCode.SETTINGS_TIMEOUT
        assert session.is_closed


def test_settings_acknowledged_in_time_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshproxy.net.h2.session._SETTINGS_SECONDS", 0.2)
    with bare() as (session, sock):
        wire = H2Wire(sock)
        wire.until(SettingsAcknowledged)
        until(lambda: session._acknowledged_by > 1e9)
        assert not session.is_closed
