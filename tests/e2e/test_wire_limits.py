"""What a limit allows passes to the last byte, and one byte more does not, however it is cut."""

from collections.abc import Iterator

import h11
import pytest

from tests.e2e.test_wire_requests import CONFIG, World, send
from tests.kit.proxy import Proxy
from tests.kit.recorder import Raw, Recorder
from tests.kit.wire import CutShort, WireClient

HOST = b"Host: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
pytestmark = pytest.mark.world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Recorder() as endpoint, Proxy(CONFIG.format(port=endpoint.port)) as proxy:
        yield World(proxy.port(), endpoint)


def fields(count: int) -> bytes:
    return b"".join(b"X-%d: y\r\n" % n for n in range(count))


def extensions(size: int, count: int) -> bytes:
    """Return *count* chunks with size lines of *size* bytes, and the last chunk."""
    return (b"1;" + b"x" * (size - 2) + b"\r\nx\r\n") * count + b"0\r\n\r\n"


def filled(start: bytes, size: int, end: bytes) -> bytes:
    """Return *size* bytes that begin with *start*, then *end*."""
    return start + b"x" * (size - len(start)) + end


REQUESTS = {
    "a request line": [
        (filled(b"GET /", 4096 - 9, b" HTTP/1.1\r\n") + HOST + b"\r\n", 200),
        (filled(b"GET /", 4097 - 9, b" HTTP/1.1\r\n") + HOST + b"\r\n", 414),
    ],
    "the fields": [
        (b"GET / HTTP/1.1\r\n" + filled(HOST + b"X: ", 8192, b"\r\n\r\n"), 200),
        (b"GET / HTTP/1.1\r\n" + filled(HOST + b"X: ", 8193, b"\r\n\r\n"), 431),
    ],
    "the number of fields": [
        (b"GET / HTTP/1.1\r\n" + HOST + fields(127) + b"\r\n", 200),
        (b"GET / HTTP/1.1\r\n" + HOST + fields(128) + b"\r\n", 431),
    ],
    "empty lines": [
        (b"\r\n" * 4096 + b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"\r\n" * 4097 + b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 431),
    ],
    "a size line": [(CHUNKED + extensions(4096, 1), 200), (CHUNKED + extensions(4097, 1), 400)],
    "all size lines": [
        (CHUNKED + extensions(1040, 64), 200),
        (CHUNKED + extensions(1041, 64), 400),
    ],
    "trailers": [
        (CHUNKED + b"0\r\n" + filled(b"X: ", 8192, b"\r\n\r\n"), 200),
        (CHUNKED + b"0\r\n" + filled(b"X: ", 8193, b"\r\n\r\n"), 400),
    ],
    "the number of trailers": [
        (CHUNKED + b"0\r\n" + fields(128) + b"\r\n", 200),
        (CHUNKED + b"0\r\n" + fields(129) + b"\r\n", 400),
    ],
}
RESPONSES = {
    "a status line": [
        (filled(b"HTTP/1.1 200 ", 4096, b"\r\nContent-Length: 0\r\n\r\n"), 200),
        (filled(b"HTTP/1.1 200 ", 4097, b"\r\nContent-Length: 0\r\n\r\n"), 502),
    ],
    "the fields": [
        (OK + filled(b"Content-Length: 0\r\nX: ", 8192, b"\r\n\r\n"), 200),
        (OK + filled(b"Content-Length: 0\r\nX: ", 8193, b"\r\n\r\n"), 502),
    ],
    "the number of fields": [
        (OK + b"Content-Length: 0\r\n" + fields(127) + b"\r\n", 200),
        (OK + b"Content-Length: 0\r\n" + fields(128) + b"\r\n", 502),
    ],
    "informational responses": [
        (b"HTTP/1.1 103 Early\r\n\r\n" * 64 + OK + b"Content-Length: 0\r\n\r\n", 200),
        (b"HTTP/1.1 103 Early\r\n\r\n" * 65 + OK + b"Content-Length: 0\r\n\r\n", 502),
    ],
    "a size line": [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + extensions(4096, 1), 200),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + extensions(4097, 1), None),
    ],
    "all size lines": [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + extensions(1040, 64), 200),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n" + extensions(1041, 64), None),
    ],
    "trailers": [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + filled(b"X: ", 8192, b"\r\n\r\n"), 200),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + filled(b"X: ", 8193, b"\r\n\r\n"), None),
    ],
}


def ways(raw: bytes) -> list[list[bytes]]:
    """Return *raw* whole, and cut within each of its last bytes, where a limit is."""
    return [[raw], *([raw[:-at], raw[-at:]] for at in range(1, 8))]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_over_a_limit_is_refused_and_one_within_is_not(world: World, name: str) -> None:
    for raw, status in REQUESTS[name]:
        for parts in ways(raw):
            world.endpoint.forget()
            with WireClient(world.port) as client:
                send(client, parts)
                assert client.read().status == status
                assert world.endpoint.breaches == []
                assert len(world.endpoint.seen) == (status == 200)
                if status == 200:
                    world.ask_last(client)
                else:
                    assert client.read_to_end() == b""


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_over_a_limit_is_refused_or_cut(world: World, name: str) -> None:
    for raw, status in RESPONSES[name]:
        for parts in ways(raw):
            world.endpoint.scripts["/case"] = Raw(parts)
            with WireClient(world.port) as client:
                client.send(b"GET /case HTTP/1.1\r\nHost: a\r\n\r\n")
                if status is None:
                    with pytest.raises((CutShort, h11.RemoteProtocolError)):
                        client.read()
                else:
                    assert client.read().status == status
                    world.endpoint.settle()
                    world.ask_last(client)
