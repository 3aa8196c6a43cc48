"""What TLS adds to a stream: goodbyes, records that carry nothing, bytes that OpenSSL holds."""

import math
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import socket

from meshproxy.net.stream import Stream, wait_either
from meshproxy.net.tls import TlsStream
from tests.kit.certs import Certs
from tests.kit.faults import RESET
from tests.kit.pair import plain, tcp_pair, tls
from tests.kit.wire import WAIT_S

Pair = tuple[Stream, socket.socket]
NEVER = math.inf


@pytest.fixture
def tls_pair(tmp_path: Path) -> Iterator[Pair]:
    with tls(Certs(tmp_path)) as both:
        yield both


def wait_until_readable(stream: Stream) -> None:
    while not stream.is_readable:
        gevent.sleep(0)


def test_tls_cut_without_goodbye_is_not_an_end(tls_pair: Pair) -> None:
    stream, other = tls_pair
    raw = socket.socket(fileno=other.detach())
    raw.shutdown(socket.SHUT_WR)
    with raw, pytest.raises(ConnectionResetError):
        stream.receive(NEVER)


def test_a_goodbye_is_an_end(tls_pair: Pair) -> None:
    stream, other = tls_pair
    leaving = gevent.spawn(other.unwrap)
    assert stream.receive(NEVER) == b""
    stream.close_for_writing(5)
    leaving.get().close()


@pytest.mark.parametrize("size", [3, 300_000])
def test_a_goodbye_of_ours_costs_nothing_of_what_the_peer_sends(tls_pair: Pair, size: int) -> None:
    stream, other = tls_pair
    sending = gevent.spawn(other.sendall, b"x" * size)
    gevent.sleep(0)
    stream.wait_readable(NEVER)
    stream.close_for_writing(5)
    assert other.recv(9) == b""
    read = 0
    while read < size:
        read += len(stream.receive(NEVER))
    sending.get()
    other.sendall(b"more")
    assert stream.receive(NEVER) == b"more"


def test_a_goodbye_wakes_the_reader_for_what_came_before_it(tls_pair: Pair) -> None:
    stream, other = tls_pair
    reading = gevent.spawn(stream.receive, NEVER)
    gevent.sleep(0)
    other.sendall(b"hello")
    stream.close_for_writing(5)
    assert reading.get() == b"hello"


def test_writing_tells_the_alert_that_ended_the_connection(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    demanding = certs.server("a.test", ask_for_client=True)
    demanding.minimum_version = ssl.TLSVersion.TLSv1_3

    def refuse(sock: socket.socket) -> None:
        with sock, pytest.raises(ssl.SSLError):
            demanding.wrap_socket(sock, server_side=True)

    def write_on() -> None:
        while True:
            stream.send_some(b"x" * 16384)

    ours, theirs = tcp_pair()
    refusing = gevent.spawn(refuse, theirs)
    stream = TlsStream(certs.client().wrap_socket(ours, server_hostname="a.test"))
    refusing.get()
    with gevent.Timeout(WAIT_S), pytest.raises(ssl.SSLError, match="certificate required") as told:
        write_on()
    with pytest.raises(ssl.SSLError) as again:
        stream.receive(NEVER)
    assert again.value is told.value
    stream.close()


def test_closing_says_goodbye_without_waiting_for_the_peer(tls_pair: Pair) -> None:
    stream, other = tls_pair
    stream.send(b"bye", 5)
    stream.close()
    stream.close()
    assert (other.recv(9), other.recv(9)) == (b"bye", b"")


def test_a_reset_is_without_goodbye(tls_pair: Pair) -> None:
    stream, other = tls_pair
    stream.reset()
    with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
        other.recv(9)


def test_closing_what_is_broken_or_full_is_closing_all_the_same(tmp_path: Path) -> None:
    with tls(Certs(tmp_path)) as (stream, other):
        raw = socket.socket(fileno=other.detach())
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        raw.close()
        stream.wait_readable(NEVER)
        stream.close()
        assert stream.sock is None
    with tls(Certs(tmp_path)) as (stream, other):
        while stream.send_some(bytes(65536)):
            pass
        stream.close()
        assert stream.sock is None


def test_what_was_read_ahead_is_given_in_parts(tls_pair: Pair) -> None:
    stream, other = tls_pair
    other.sendall(b"abcdef")
    wait_until_readable(stream)
    buffer = memoryview(bytearray(4))
    assert (stream.receive_into(buffer, NEVER), bytes(buffer)) == (4, b"abcd")
    assert stream.is_readable
    assert stream.receive_buffered() == b"ef"
    assert not stream.is_readable


def test_full_records_are_read_together(tls_pair: Pair) -> None:
    stream, other = tls_pair
    sent = bytes(range(256)) * 1024
    sending = gevent.spawn(other.sendall, sent)
    sending.join()
    wait_until_readable(stream)
    first = stream.receive_buffered(65536) or b""
    assert 16384 < len(first) <= 65536 + 16384
    rest = b""
    while len(first + rest) < len(sent):
        rest += stream.receive_buffered() or b""
        gevent.sleep(0)
    assert first + rest == sent


@pytest.mark.parametrize("is_clean", [True, False])
def test_records_that_have_come_are_taken_together_and_the_end_after_them(
    tls_pair: Pair, *, is_clean: bool
) -> None:
    stream, other = tls_pair
    for piece in (b"a" * 16384, b"b" * 16384, b"c"):
        other.sendall(piece)
    raw = socket.socket(fileno=os.dup(other.fileno()))
    if is_clean:
        gevent.spawn(other.unwrap)
        gevent.sleep(0)
    raw.shutdown(socket.SHUT_WR)
    buffer = memoryview(bytearray(65536))
    with raw:
        assert stream.receive_into(buffer, NEVER) == 32769
        assert bytes(buffer[:32769]) == b"a" * 16384 + b"b" * 16384 + b"c"
        if is_clean:
            assert stream.receive_into(buffer, NEVER) == 0
        else:
            with pytest.raises(ConnectionResetError):
                stream.receive_into(buffer, NEVER)


def test_what_openssl_holds_is_readable(tls_pair: Pair) -> None:
    stream, other = tls_pair
    other.sendall(b"abcdef")
    stream.receive_into(memoryview(bytearray(2)), NEVER)
    with plain() as (client, _):
        assert wait_either(client, stream, monotonic() + 5) is True
        assert wait_either(stream, client, monotonic() + 5) is False


def test_an_idle_stream_tells_of_a_cut_and_raises_it_to_its_reader(tls_pair: Pair) -> None:
    stream, other = tls_pair
    socket.socket(fileno=other.detach()).close()
    wait_until_readable(stream)
    with pytest.raises(ConnectionResetError):
        stream.receive(NEVER)


def test_session_tickets_are_nothing_to_read(tmp_path: Path) -> None:
    """TLS 1.3 servers send them after the handshake; no answer may be seen in them."""
    with tls(Certs(tmp_path), serving=False) as (asking, served), plain() as (client, at_client):
        waiting = gevent.spawn(wait_either, client, asking, monotonic() + 5)
        gevent.sleep(0.01)
        at_client.sendall(b"body")
        assert waiting.get() is False
        assert not asking.is_readable
        asking.wait_writable(monotonic() + 5, or_readable=True)
        assert not asking.is_readable
        served.sendall(b"answer")
        wait_until_readable(asking)
        assert asking.receive(NEVER) == b"answer"
