"""Connections that urllib3 makes and we read and write."""

import ssl
from pathlib import Path

import pytest
from gevent import socket

from meshproxy.client.connection import TlsConnection
from meshproxy.client.tls import TlsSettings, context
from meshproxy.net.tls_socket import TlsSocket
from tests.kit.badserver import BadServer, Send, Stall, Until
from tests.kit.certs import Certs
from tests.kit.connections import ready, unopened
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until


def test_it_connects_to_the_address_as_it_is() -> None:
    with BadServer([[Until(b"hello"), Send(b"well"), Stall()]]) as endpoint:
        connection = unopened(endpoint.port)
        assert not connection.is_connected
        connection.connect()
        assert connection.is_connected
        assert connection.stream is not None
        connection.stream.send(b"hello", 1)
        assert connection.stream.receive(float("inf")) == b"well"
        connection.close()
        assert not connection.is_connected


def test_an_ipv6_address_needs_no_brackets() -> None:
    with Downstream(lambda _: b"", host="::1") as endpoint:
        for host in ("::1", "[::1]"):
            connection = unopened(endpoint.port, host)
            connection.connect()
            connection.close()
        wait_until(lambda: len(endpoint.wire) == 2)


def test_a_refusal_is_an_error_of_the_socket() -> None:
    with Downstream(lambda _: b"") as gone:
        port = gone.port
    connection = unopened(port)
    with pytest.raises(ConnectionRefusedError):
        connection.connect()
    assert connection.stream is None


def test_an_end_of_the_input_makes_an_idle_connection_unusable() -> None:
    with BadServer([[]]) as endpoint:
        connection = unopened(endpoint.port)
        connection.connect()
        wait_until(lambda: not connection.is_connected)
        connection.close()


def test_bytes_that_nobody_asked_for_make_an_idle_connection_unusable() -> None:
    with BadServer([[Send(b"HTTP/1.1 408 Idle\r\n\r\n"), Stall()]]) as endpoint:
        connection = unopened(endpoint.port)
        connection.connect()
        wait_until(lambda: not connection.is_connected)
        connection.close()


def test_closing_is_told_once_and_only_of_a_connection_that_was_up() -> None:
    closed = []
    with BadServer([[Stall()]]) as endpoint:
        connection = unopened(endpoint.port)
        connection.on_close = lambda: closed.append(1)
        connection.close()
        assert closed == []
        connection.connect()
        connection.close()
        connection.close()
        assert closed == [1]


def test_it_can_be_opened_again() -> None:
    with BadServer([[], [Stall()]]) as endpoint:
        connection = unopened(endpoint.port)
        connection.connect()
        wait_until(lambda: not connection.is_connected)
        connection.close()
        connection.connect()
        assert connection.is_connected
        connection.close()


def test_session_tickets_leave_a_tls_connection_usable(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    with BadServer([[Stall()]], context=certs.server("a.test")) as endpoint:
        connection = TlsConnection(
            "127.0.0.1", endpoint.port, ssl_context=trusting(certs), server_hostname="a.test"
        )
        ready(connection)
        connection.connect()
        wait_until(lambda: _has_input(connection.sock))
        assert connection.is_connected
        connection.close()


def test_nothing_is_there_to_write_to_before_the_certificate_is_verified(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    with Downstream(lambda _: b"", context=certs.server("a.test")) as endpoint:
        connection = TlsConnection(
            "127.0.0.1", endpoint.port, ssl_context=trusting(certs), server_hostname="b.test"
        )
        ready(connection)
        with pytest.raises(ValueError, match="doesn't match"):
            connection.connect()
        assert connection.stream is None
        connection.close()


def trusting(certs: Certs) -> ssl.SSLContext:
    return context(TlsSettings(trust=(str(certs.bundle),))).value


def _has_input(secured: TlsSocket) -> bool:
    """Look at the socket below the TLS without taking anything."""
    copy = socket.fromfd(secured.sock.fileno(), socket.AF_INET, socket.SOCK_STREAM)
    copy.setblocking(False)
    try:
        return bool(copy.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        copy.close()
