"""Frames as bytes (RFC 9113 sections 4.1 and 6): the numbers, and the writing of each type."""

import struct
from collections.abc import Iterable

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""What a client sends before its first frame (RFC 9113 section 3.4)."""
HEAD_BYTES = 9
MIN_FRAME_BYTES = 16384
"""The least that SETTINGS_MAX_FRAME_SIZE may say, and what holds until it says more."""
MAX_FRAME_BYTES = (1 << 24) - 1
MAX_STREAM_ID = (1 << 31) - 1

HEAD = struct.Struct(">LBL")
"""Length and type in one number, flags, stream."""
SPLIT_HEAD = struct.Struct(">HBHl")
"""The same for reading: the length in two bytes and one, type and flags in one number, stream.

The stream is below 0 if its reserved bit is set. Python has a fast way for sums and products, and
none for bits.
"""
_LONG = struct.Struct(">L")
_SETTING = struct.Struct(">HL")


def head(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """Returns the nine bytes before a payload of *length* bytes."""
    return HEAD.pack(length << 8 | kind, flags, stream_id)


def read_long(data: bytes, at: int = 0) -> int:
    """Returns the four bytes at *at* as a number, without the reserved first bit."""
    number: int = _LONG.unpack_from(data, at)[0]
    return number & MAX_STREAM_ID


def read_code(data: bytes, at: int = 0) -> int:
    """Returns the error code at *at*, all 32 bits of it."""
    code: int = _LONG.unpack_from(data, at)[0]
    return code


def headers(stream_id: int, block: bytes, max_frame_bytes: int, *, ends: bool) -> bytes:
    """Returns a HEADERS frame, with as many CONTINUATION frames as *block* needs."""
    flags = END_STREAM if ends else 0
    length = len(block)
    if length <= max_frame_bytes:
        return HEAD.pack(length << 8 | HEADERS, flags | END_HEADERS, stream_id) + block
    out = [head(max_frame_bytes, HEADERS, flags, stream_id), block[:max_frame_bytes]]
    for at in range(max_frame_bytes, length, max_frame_bytes):
        piece = block[at : at + max_frame_bytes]
        last = END_HEADERS if at + max_frame_bytes >= length else 0
        out += (head(len(piece), CONTINUATION, last, stream_id), piece)
    return b"".join(out)


def rst_stream(stream_id: int, code: int) -> bytes:
    """Returns a RST_STREAM frame."""
    return head(4, RST_STREAM, 0, stream_id) + _LONG.pack(code)


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """Returns a SETTINGS frame of pairs of identifier and value."""
    payload = b"".join(_SETTING.pack(*pair) for pair in values)
    return head(len(payload), SETTINGS, 0, 0) + payload


def read_settings(payload: bytes) -> Iterable[tuple[int, int]]:
    """Returns the pairs of a payload whose length is a multiple of six."""
    return _SETTING.iter_unpack(payload)


SETTINGS_ACK = head(0, SETTINGS, ACK, 0)


def ping(payload: bytes, *, is_answer: bool) -> bytes:
    """Returns a PING frame of eight bytes, or the answer to one."""
    return head(8, PING, ACK if is_answer else 0, 0) + payload


def as_answers(pings: bytes, count: int) -> bytes:
    """Returns *count* whole PING frames with ACK set, and nothing else changed."""
    answers = bytearray(pings)
    answers[4 :: len(pings) // count] = bytes((ACK,)) * count
    return bytes(answers)


def goaway(last_stream_id: int, code: int, debug: bytes = b"") -> bytes:
    """Returns a GOAWAY frame."""
    payload = _LONG.pack(last_stream_id) + _LONG.pack(code) + debug
    return head(len(payload), GOAWAY, 0, 0) + payload


def window_update(stream_id: int, increment: int) -> bytes:
    """Returns a WINDOW_UPDATE frame; stream 0 is the connection."""
    return head(4, WINDOW_UPDATE, 0, stream_id) + _LONG.pack(increment)
