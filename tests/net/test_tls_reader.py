"""What TLS adds to receiving: records in parts, records that carry nothing, ends of two kinds."""

import math
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import gevent
import pytest
from gevent import socket

from meshproxy.net.stream import Stream, wait_either
from meshproxy.net.tls import TlsStream
from meshproxy.net.tls_socket import TlsSocket
from tests.kit.certs import Certs
from tests.kit.pair import plain, tcp_pair, tls
from tests.kit.wire import WAIT_S

Pair = tuple[Stream, socket.socket]
NEVER = math.inf


@pytest.fixture
def tls_pair(tmp_path: Path) -> Iterator[Pair]:
    with tls(Certs(tmp_path)) as both:
        yield both


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def sealed_pair(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["Sealed"]:
    with sealed(Certs(tmp_path), request.param) as both:
        yield both


Sealed = tuple[TlsStream, TlsSocket]


@contextmanager
def sealed(certs: Certs, version: ssl.TLSVersion, at_once: bytes = b"") -> Iterator[Sealed]:
    """Give a server's stream, and its client, whose records the test sends as it likes.

    The client sends *at_once* together with the end of its handshake.
    """
    ours, theirs = tcp_pair()
    client = certs.client()
    client.maximum_version = version
    peer = TlsSocket(theirs, client, server_name="a.test")

    def meet() -> None:
        while True:
            try:
                peer.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                theirs.sendall(peer.outgoing.read())
                peer.incoming.write(theirs.recv(65536))
        theirs.sendall(peer.outgoing.read() + (record(peer, at_once) if at_once else b""))

    meeting = gevent.spawn(meet)
    secured = TlsSocket(ours, certs.server("a.test"), server_side=True)
    with gevent.Timeout(WAIT_S):
        secured.shake_hands()
        meeting.get()
        stream = TlsStream(secured)
        try:
            yield stream, peer
        finally:
            stream.close()
            peer.close()


def record(peer: TlsSocket, data: bytes) -> bytes:
    """Return *data* encrypted."""
    peer.tls.write(data)
    return peer.outgoing.read()


def goodbye(peer: TlsSocket) -> bytes:
    """Return a close_notify."""
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.unwrap()
    return peer.outgoing.read()


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
    stream.wait_readable(NEVER)
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


def test_what_came_with_the_end_of_the_handshake_is_there(tmp_path: Path) -> None:
    with sealed(Certs(tmp_path), ssl.TLSVersion.TLSv1_3, at_once=b"hello") as (stream, peer):
        assert stream.is_readable
        assert stream.has_stray()
        assert stream.receive(NEVER) == b"hello"
        assert not stream.is_readable
        peer.sock.sendall(record(peer, b"more"))
        assert stream.receive(NEVER) == b"more"


def test_a_record_may_come_in_parts(sealed_pair: Sealed) -> None:
    stream, peer = sealed_pair
    sent = record(peer, b"first") + record(peer, b"x" * 16384) + record(peer, b"last")
    for cut in (1, 3, 40, 9000, len(sent) - 2, len(sent)):
        peer.sock.sendall(sent[:cut])
        stream.wait_readable(NEVER)
        sent = sent[cut:]
        if not sent:
            break
        stream.is_readable  # noqa: B018 - reads what there is
    received = b""
    while len(received) < 16384 + 9:
        received += stream.receive(NEVER)
    assert received == b"first" + b"x" * 16384 + b"last"


def test_short_records_that_have_come_are_read_together(sealed_pair: Sealed) -> None:
    stream, peer = sealed_pair
    peer.sock.sendall(b"".join(record(peer, b"%03d" % number) for number in range(100)))
    stream.wait_readable(NEVER)
    assert stream.receive_buffered() == b"".join(b"%03d" % number for number in range(100))
    assert stream.receive_buffered() is None


def test_a_record_that_is_too_long_is_refused_before_it_has_come(sealed_pair: Sealed) -> None:
    stream, peer = sealed_pair
    peer.sock.sendall(b"\x17\x03\x03\xff\xff" + bytes(100))
    with pytest.raises(ssl.SSLError, match="length too long"):
        stream.receive(NEVER)
    with pytest.raises(ssl.SSLError, match="length too long"):
        stream.receive(NEVER)


def test_a_record_that_was_changed_is_refused_with_an_alert(sealed_pair: Sealed) -> None:
    stream, peer = sealed_pair
    good, bad = record(peer, b"good"), bytearray(record(peer, b"bad"))
    bad[-1] ^= 1
    peer.sock.sendall(good + bad + record(peer, b"after"))
    assert stream.receive(NEVER) == b"good"
    assert stream.receive_buffered() == b""
    with pytest.raises(ssl.SSLError, match=r"bad record mac|decryption failed"):
        stream.receive(NEVER)
    stream.sock.shutdown(socket.SHUT_WR)
    while told := peer.sock.recv(65536):
        peer.incoming.write(told)
    with pytest.raises(ssl.SSLError, match="alert bad record mac"):
        peer.tls.read(100)


def test_the_end_of_a_connection_within_a_record_is_no_end(sealed_pair: Sealed) -> None:
    stream, peer = sealed_pair
    peer.sock.sendall(record(peer, b"whole") + record(peer, b"part")[:-1])
    peer.sock.shutdown(socket.SHUT_WR)
    assert stream.receive(NEVER) == b"whole"
    with pytest.raises(ConnectionResetError):
        stream.receive(NEVER)


def test_nothing_counts_that_comes_after_a_goodbye(sealed_pair: Sealed) -> None:
    stream, peer = sealed_pair
    peer.sock.sendall(record(peer, b"last") + goodbye(peer) + b"anything")
    assert stream.receive(NEVER) == b"last"
    for _ in range(2):
        assert stream.receive(NEVER) == b""
    assert stream.receive_buffered() == b""
    assert stream.is_readable


def test_a_goodbye_behind_data_is_told_though_the_socket_stays_open(sealed_pair: Sealed) -> None:
    stream, peer = sealed_pair
    heard: list[bytes | None] = []
    stream.follow(lambda: heard.append(stream.receive_buffered()))
    peer.sock.sendall(record(peer, b"last") + goodbye(peer))
    while len(heard) < 2:
        gevent.sleep(0)
    assert heard == [b"last", b""]


def test_a_goodbye_behind_data_is_not_told_to_whom_has_closed(sealed_pair: Sealed) -> None:
    stream, peer = sealed_pair
    heard: list[bytes | None] = []

    def hear() -> None:
        heard.append(stream.receive_buffered())
        stream.close()

    stream.follow(hear)
    peer.sock.sendall(record(peer, b"last") + goodbye(peer))
    while not heard:
        gevent.sleep(0)
    gevent.sleep(0)
    assert heard == [b"last"]


def test_a_reset_after_data_comes_after_it(tls_pair: Pair) -> None:
    stream, other = tls_pair
    other.sendall(b"data")
    stream.wait_readable(NEVER)
    assert stream.receive(NEVER) == b"data"
    raw = socket.socket(fileno=other.detach())
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    raw.close()
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            stream.receive(NEVER)
