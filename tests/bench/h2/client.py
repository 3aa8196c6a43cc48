"""A client of HTTP/2 that costs little: whole frames are made before they are needed.

`python -m tests.bench.h2.client PORT STREAMS NEW_VALUES REQUESTS` prints a line
as wrk's script does.
"""

import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import Final

from hpack import Encoder
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from meshproxy.h2 import frames
from tests.bench.world import SMALL
from tests.kit.h2 import read_head

_WINDOW: Final = 2**31 - 1
_VALUE_BYTES: Final = 40
_BATCH: Final = 25
"""Requests that are sent at once."""


class Client:
    """One connection, whose peer may send as much as it likes."""

    def __init__(self, port: int, method: str = "GET") -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), 30)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        window = b"\0\4" + _WINDOW.to_bytes(4, "big")
        settings = frames.head(len(window), frames.SETTINGS, 0, 0) + window
        more = frames.head(4, frames.WINDOW_UPDATE, 0, 0) + (_WINDOW - 65535).to_bytes(4, "big")
        self._sock.sendall(frames.PREFACE + settings + more)
        self._received = b""
        self.body_bytes = 0
        """Of all responses."""
        self._fields = [
            (":method", method),
            (":scheme", "http"),
            (":authority", "web"),
            (":path", "/small"),
            ("user-agent", "bench"),
        ]
        self._encoder = Encoder()
        self._next_id = 1

    def request(self, *, ends: bool = True, more: bytes = b"") -> bytes:
        """Return the frame of the next request, with *more* at the end of its fields."""
        block = self._encoder.encode(self._fields) + more
        made = frames.headers(self._next_id, block, frames.MIN_FRAME_BYTES, ends=ends)
        self._next_id += 2
        return made

    def send(self, data: bytes) -> None:
        """Send whole frames."""
        self._sock.sendall(data)

    def ended(self) -> Iterator[int]:
        """Yield each stream that ends. Raises ConnectionError if the connection does."""
        while True:
            data = self._sock.recv(262144)
            if not data:
                raise ConnectionError("the proxy closed the connection")
            received, at = self._received + data, 0
            while len(received) >= at + frames.HEAD_BYTES:
                length, kind, flags, stream_id = read_head(received, at)
                if at + frames.HEAD_BYTES + length > len(received):
                    break
                at += frames.HEAD_BYTES + length
                if kind == frames.DATA:
                    self.body_bytes += length
                if kind == frames.SETTINGS and not flags & frames.ACK:
                    self.send(frames.head(0, frames.SETTINGS, frames.ACK, 0))
                elif kind == frames.RST_STREAM or (
                    kind in {frames.HEADERS, frames.DATA} and flags & frames.END_STREAM
                ):
                    yield stream_id
            self._received = received[at:]

    def close(self) -> None:
        """Close the connection."""
        self._sock.close()


def new_fields(count: int) -> bytes:
    """Return *count* fields with values of 40 characters that are new, not to be indexed."""
    huffman = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
    found = b""
    for number in range(count):
        found += b"\0"
        for text in (b"x-trace-%d" % number, os.urandom(_VALUE_BYTES // 2).hex().encode()):
            coded = huffman.encode(text)
            found += bytes((0x80 | len(coded),)) + coded
    return found


def main(port: int, streams: int, new_values: int, requests: int) -> None:
    """Send *requests*, of which at most *streams* wait for their answer."""
    client = Client(port)
    made = [client.request(more=new_fields(new_values)) for _ in range(requests)]
    began, sent = time.monotonic(), 0
    sent_at: dict[int, float] = {}
    took_us: list[int] = []
    ended = client.ended()
    while len(took_us) < requests:
        while sent < requests and len(sent_at) <= streams - _BATCH:
            batch = made[sent : sent + _BATCH]
            now = time.monotonic()
            sent_at |= {2 * (sent + at) + 1: now for at in range(len(batch))}
            client.send(b"".join(batch))
            sent += len(batch)
        took_us.append(int((time.monotonic() - sent_at.pop(next(ended))) * 1e6))
    duration_us = int((time.monotonic() - began) * 1e6)
    took_us.sort()
    p50, p99 = (took_us[len(took_us) * per // 100] for per in (50, 99))
    errors = requests - client.body_bytes // len(SMALL)
    print("RESULT", requests, duration_us, errors, p50, p99)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
