"""What TLS adds to sending: goodbyes, and encrypted records for which the socket has no room."""

import math
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import socket

from meshproxy.net.stream import Stream
from meshproxy.net.tls import TlsStream
from meshproxy.net.tls_socket import TlsSocket
from tests.kit.certs import Certs
from tests.kit.faults import RESET
from tests.kit.pair import tcp_pair, tls
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
    secured = TlsSocket(ours, certs.client(), server_name="a.test")
    secured.shake_hands()
    stream = TlsStream(secured)
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


def test_records_that_the_socket_took_in_parts_arrive_once(tls_pair: Pair) -> None:
    stream, other = tls_pair
    stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)
    data = bytes(range(256)) * 8192
    taken = bytearray()

    def take() -> None:
        while len(taken) < len(data):
            taken.extend(other.recv(1000) if len(taken) < 100_000 else other.recv(65536))

    taking = gevent.spawn(take)
    stream.send(data[:500_000], 5)
    stream.send_pieces([])
    rest = memoryview(data)[500_000:]
    while rest:
        sent = stream.send_some(rest)
        rest = rest[sent:]
        if not sent:
            stream.wait_writable(monotonic() + 5)
    taking.get()
    assert bytes(taken) == data


def test_what_counts_as_sent_is_whole_records(tls_pair: Pair) -> None:
    stream, _ = tls_pair
    counted = []
    while sent := stream.send_some(bytes(100_000)):
        counted.append(sent)
    assert counted[0] == 100_000
    assert all(sent % 16384 in {0, 100_000 % 16384} for sent in counted)


def test_a_goodbye_waits_for_its_turn(tls_pair: Pair) -> None:
    stream, other = tls_pair
    data = bytes(65536)
    sent = 0
    while taken := stream.send_some(data):
        sent += taken
    closing = gevent.spawn(stream.close_for_writing, 5)
    read = 0
    while piece := other.recv(65536):
        read += len(piece)
    closing.get()
    assert sent <= read <= sent + len(data)


def test_questions_of_the_peer_are_answered_by_reading(tmp_path: Path) -> None:
    with asked_for_a_certificate(tmp_path) as (stream, asking):
        assert stream.receive(NEVER) == b"?"
        with pytest.raises(ssl.SSLError, match="return a certificate"):
            asking.recv(1)


def test_a_peer_that_asks_and_does_not_read_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshproxy.net.tls._MOST_SEALED", 0)
    with asked_for_a_certificate(tmp_path) as (stream, _):
        while stream.send_some(bytes(65536)):
            pass
        assert stream.receive(NEVER) == b"?"
        with pytest.raises(ConnectionResetError, match="does not read"):
            stream.receive(NEVER)


@contextmanager
def asked_for_a_certificate(directory: Path) -> Iterator[Pair]:
    """Give a TLS client, to be asked for a certificate by what it reads next, and its server."""
    certs = Certs(directory)
    asking, asked = certs.server("a.test", ask_for_client=True), certs.client()
    for context in (asking, asked):
        context.post_handshake_auth = True
    ours, theirs = tcp_pair()
    shaking = gevent.spawn(asking.wrap_socket, theirs, server_side=True)
    secured = TlsSocket(ours, asked, server_name="a.test")
    secured.shake_hands()
    other = shaking.get()
    stream = TlsStream(secured)
    try:
        with gevent.Timeout(WAIT_S):
            stream.wait_readable(NEVER)
            stream.receive_buffered()  # session tickets
            other.verify_client_post_handshake()
            other.sendall(b"?")
            yield stream, other
    finally:
        stream.close()
        other.close()
