"""What hostile clients of HTTP/2 send after the preface: for the tests, and for the bench."""

from collections.abc import Callable
from functools import partial
from typing import Final

from hpack import Encoder
from hpack.hpack import encode_integer

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode
from tests.kit.h2 import GET as BLOCK
from tests.kit.h2 import SETTINGS, data, frame, headers


def continuations(payload: bytes) -> bytes:
    """Return a head that never ends."""
    more = frame(frames.CONTINUATION, 0, 1, payload)
    return frame(frames.HEADERS, 0, 1, BLOCK) + more * 5000


def hpack_bomb() -> bytes:
    """Return a request whose block of 16 KB stands for 48 MB of fields."""
    big = b"a" * 4000
    block = Encoder().encode([(b":method", b"GET"), (b":path", b"/")], huffman=False)
    length = bytes(encode_integer(len(big), 7))
    block += b"\x40\x01x" + length + big + b"\xbe" * 12000
    return frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, block)


def rapid_reset(count: int = 20_000) -> bytes:
    """Return requests, each reset at once (CVE-2023-44487)."""
    return b"".join(
        headers(number) + frames.rst_stream(number, ErrorCode.CANCEL)
        for number in range(1, 2 * count, 2)
    )


def made_resets(count: int = 20_000) -> bytes:
    """Return requests with a fault for which the server resets each (CVE-2025-8671)."""
    return b"".join(
        headers(number, ends=False) + frames.window_update(number, 0)
        for number in range(1, 2 * count, 2)
    )


def empty_data(count: int = 200_000) -> bytes:
    """Return a body of nothing that never ends (CVE-2019-9518)."""
    return headers(1, ends=False) + data(1) * count


def priorities(count: int = 200_000) -> bytes:
    """Return PRIORITY of streams that there are not."""
    return frame(frames.PRIORITY, 0, 1, b"\0\0\0\0\x10") * count


def window_updates(count: int = 200_000) -> bytes:
    """Return the connection's window, opened byte by byte."""
    return frames.window_update(0, 1) * count


def spread(made: Callable[[int], bytes], count: int = 200_000) -> bytes:
    """Return 50 open streams, and what *made* returns for each of them, in turn."""
    streams = range(1, 100, 2)
    opened = b"".join(headers(stream, ends=False) for stream in streams)
    return opened + b"".join(map(made, streams)) * (count // len(streams))


CHEAP: Final[dict[str, Callable[[int], bytes]]] = {
    "WINDOW_UPDATE": lambda stream: frames.window_update(stream, 1),
    "empty DATA": data,
    "PRIORITY": lambda stream: frame(frames.PRIORITY, 0, stream, b"\0\0\0\0\x10"),
    "RST_STREAM": lambda stream: frames.rst_stream(stream, ErrorCode.CANCEL),
    "frames of an unknown type": lambda stream: frame(77, 0, stream),
}
"""Frames of a stream that cost their sender next to nothing."""

ATTACKS: Final[dict[str, Callable[[], bytes]]] = {
    "20,000 requests, each reset at once": rapid_reset,
    "3 MB of CONTINUATION": lambda: continuations(b"\0\1a\1b" * 100),
    "50,000 PINGs, their answers unread": lambda: (
        frames.ping(b"12345678", is_answer=False) * 50_000
    ),
    "a block of 16 KB that stands for 48 MB of fields": hpack_bomb,
    "50,000 SETTINGS, their answers unread": lambda: SETTINGS * 50_000,
    "20,000 requests that make the proxy reset them": made_resets,
    "200,000 empty DATA": empty_data,
    "200,000 PRIORITY": priorities,
    "200,000 WINDOW_UPDATE": window_updates,
    **{f"200,000 {name}, of 50 streams": partial(spread, made) for name, made in CHEAP.items()},
}
