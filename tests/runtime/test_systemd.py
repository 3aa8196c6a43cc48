"""Which sockets are taken over, and what becomes of a message that nobody hears."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

from meshproxy.runtime import systemd
from meshproxy.runtime.systemd import Notifier, close_unused, inherited_sockets
from tests.kit.wire import dial


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def handed_over(
    monkeypatch: pytest.MonkeyPatch, sock: socket.socket, **others: str
) -> dict[str, str]:
    """Return the environment in which *sock* is the first of one."""
    monkeypatch.setattr(systemd, "_FIRST", os.dup(sock.fileno()))
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", **others}


def test_a_listening_socket_is_taken_over_by_its_address(
    monkeypatch: pytest.MonkeyPatch, listening: socket.socket
) -> None:
    environ = handed_over(monkeypatch, listening)
    sockets, names = inherited_sockets(environ)
    address = listening.getsockname()
    assert names == {address: "web"}
    assert not sockets[address].get_inheritable()
    assert environ == {}
    with sockets[address], dial(address):
        assert sockets[address].accept()[0].close() is None


@pytest.mark.parametrize("others", [{"LISTEN_PID": "1"}, {"LISTEN_FDS": "x"}, {"LISTEN_FDS": "0"}])
def test_what_is_for_others_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, listening: socket.socket, others: dict[str, str]
) -> None:
    environ = handed_over(monkeypatch, listening, **others)
    assert inherited_sockets(environ) == ({}, {})
    os.close(systemd._FIRST)


def test_without_the_variables_there_is_nothing() -> None:
    assert inherited_sockets({}) == ({}, {})


def test_a_socket_that_does_not_listen_is_closed_and_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert inherited_sockets(handed_over(monkeypatch, sock)) == ({}, {})
    assert "socket web from systemd does not listen on TCP" in caplog.text
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(systemd._FIRST)


def test_what_no_server_wants_is_closed_and_named(
    monkeypatch: pytest.MonkeyPatch, listening: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    sockets, names = inherited_sockets(handed_over(monkeypatch, listening))
    close_unused(sockets, names)
    port = listening.getsockname()[1]
    assert f"closed socket web of systemd, 127.0.0.1 port {port}: no server uses it" in caplog.text
    assert sockets == {}


def test_a_manager_that_does_not_hear_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()
    assert "systemd was not told READY" in caplog.text


def test_without_a_manager_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    Notifier({}).ready()
    assert caplog.text == ""
