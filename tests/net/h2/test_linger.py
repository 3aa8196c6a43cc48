"""The end of a connection that still has something to hear."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from meshproxy.net.h2.linger import Linger
from tests.kit.certs import Certs
from tests.kit.h2_wire import until
from tests.kit.pair import plain, tls


def closed(seen: list[str]) -> Callable[[], None]:
    return lambda: seen.append("closed")


def test_the_peers_end_is_the_end() -> None:
    seen: list[str] = []
    with plain() as (stream, other):
        stream.send(b"goodbye", 1)
        Linger(stream, closed(seen))
        other.sendall(b"too late")
        assert other.recv(100) == b"goodbye"
        assert other.recv(100) == b""
        assert seen == []
        other.close()
        until(lambda: seen)


def test_who_goes_on_sending_is_read_for_a_while_only() -> None:
    seen: list[str] = []
    with plain() as (stream, other):
        Linger(stream, lambda: (seen.append("closed"), stream.close()))
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(200):
                other.sendall(bytes(65536))
        assert seen == ["closed"]


def test_who_does_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshproxy.net.h2.linger._SECONDS", 0.05)
    seen: list[str] = []
    with plain() as (stream, _):
        Linger(stream, closed(seen))
        until(lambda: seen)


def test_a_connection_that_is_gone() -> None:
    seen: list[str] = []
    with plain() as (stream, other):
        stream.reset()
        other.close()
        with plain() as (open_, far):
            far.close()
            open_.sock.shutdown(2)
            Linger(open_, closed(seen))
            until(lambda: seen)


def test_tls_says_goodbye_too(tmp_path: Path) -> None:
    seen: list[str] = []
    with tls(Certs(tmp_path)) as (stream, other):
        Linger(stream, closed(seen))
        assert other.recv(100) == b"", "close_notify, not a mere end"
        other.close()
        until(lambda: seen)
