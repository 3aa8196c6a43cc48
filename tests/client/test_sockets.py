import errno

import pytest
from gevent import socket

from meshproxy.client.sockets import connected
from meshproxy.client.transport import Transport
from meshproxy.http.limits import Limits
from meshproxy.naming.addr import Address


def peer_of(transport: Transport) -> tuple[str, int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with connected(Address(*server.getsockname()), transport, ()) as sock:
            accepted, peer = server.accept()
            accepted.close()
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == transport.no_delay
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == bool(
                transport.keep_alive
            )
    return peer


def test_options_are_those_of_the_transport() -> None:
    peer_of(Transport(Limits(), 5.0))
    peer_of(Transport(Limits(), 5.0, no_delay=False, keep_alive=True))


def test_it_connects_from_the_source_address() -> None:
    assert peer_of(Transport(Limits(), 5.0, source_address="127.0.0.9"))[0] == "127.0.0.9"


@pytest.mark.parametrize(
    ("source", "number", "words"),
    [
        ("192.0.2.1", errno.EADDRNOTAVAIL, "cannot connect from sourceAddress 192.0.2.1: Cannot"),
        ("::1", errno.EAFNOSUPPORT, "127.0.0.1 cannot be reached from sourceAddress ::1"),
    ],
)
def test_a_source_that_cannot_be_used_is_named(source: str, number: int, words: str) -> None:
    with pytest.raises(OSError, match=words) as caught:
        connected(Address("127.0.0.1", 1), Transport(Limits(), 5.0, source_address=source), ())
    assert caught.value.errno == number
