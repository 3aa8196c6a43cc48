import struct

import gevent
import pytest
from gevent import socket
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.net.proxy_protocol import MOST_BYTES, BadHeader, ProxyHeader, parse, receive

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4000, 80)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "::1")
    + struct.pack("!HH", 4000, 80)
)


def binary(command: int, family: int, addresses: bytes, length: int | None = None) -> bytes:
    size = len(addresses) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, size) + addresses


GOOD = [
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 4000 80\r\n", "192.0.2.7:4000"),
    (b"PROXY TCP6 2001:DB8:0::7 ::1 4000 80\r\n", "[2001:db8::7]:4000"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None),
    (binary(0x21, 0x11, V4), "192.0.2.7:4000"),
    (binary(0x21, 0x21, V6), "[2001:db8::7]:4000"),
    (binary(0x21, 0x11, V4 + b"\x04\x00\x03abc"), "192.0.2.7:4000"),
    (binary(0x20, 0x00, b""), None),
    (binary(0x20, 0x11, V4), None),
    (binary(0x21, 0x00, b""), None),
    (binary(0x21, 0x31, b"/" * 216), None),
    (binary(0x21, 0x11, V4.ljust(MOST_BYTES - 16, b"\x00")), "192.0.2.7:4000"),
]
BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
    b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 x 1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 \xb2 2\r\n",
    b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    b"PROXY UNKNOWN" + b" " * 100 + b"\r\n",
    binary(0x11, 0x11, V4),
    binary(0x22, 0x11, V4),
    binary(0x21, 0x11, V4[:-1]),
    binary(0x21, 0x21, V4),
    binary(0x21, 0x41, V4),
    binary(0x21, 0x11, b"", MOST_BYTES - 15),
]


@pytest.mark.parametrize(("data", "client"), GOOD)
def test_a_header_says_who_the_client_is(data: bytes, client: str | None) -> None:
    assert parse(data) == ProxyHeader(len(data), True, client)
    assert parse(data + b"GET / HTTP/1.1\r\n\r\n") == ProxyHeader(len(data), True, client)


@pytest.mark.parametrize(("data", "_client"), GOOD)
def test_every_beginning_of_a_header_belongs_to_it(data: bytes, _client: object) -> None:
    for end in range(len(data)):
        assert parse(data[:end]) == ProxyHeader(end)


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header_is_refused(data: bytes) -> None:
    with pytest.raises(BadHeader):
        parse(data)


@given(st.binary(max_size=600), st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21"]))
def test_any_bytes_are_a_part_a_whole_or_refused(data: bytes, start: bytes) -> None:
    try:
        header = parse(start + data)
    except BadHeader:
        return
    assert header.length <= min(len(start + data), MOST_BYTES)


@pytest.mark.parametrize(("data", "client"), GOOD)
@pytest.mark.parametrize("step", [1, 1000])
def test_nothing_is_read_beyond_the_header(data: bytes, client: str | None, step: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        everything = data + b"rest"

        def send() -> None:
            for at in range(0, len(everything), step):
                theirs.sendall(everything[at : at + step])
                gevent.sleep(0)

        sending = gevent.spawn(send)
        assert receive(ours, 5) == client
        sending.join()
        assert ours.recv(100) == b"rest"


def test_a_header_that_does_not_come_is_refused() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"PROXY TCP4 ")
        with pytest.raises(BadHeader, match=r"no PROXY header within 0\.01 s"):
            receive(ours, 0.01)
        theirs.close()
        with pytest.raises(BadHeader, match="the connection ended"):
            receive(ours, 5)
