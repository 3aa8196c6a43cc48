"""SETTINGS of both sides (RFC 9113 section 6.5.2)."""

from collections.abc import Iterator
from dataclasses import dataclass

from meshproxy.h2 import frames
from meshproxy.h2.decoder import DEFAULT_TABLE_BYTES
from meshproxy.h2.errors import ErrorCode, H2ConnectionError

HEADER_TABLE_SIZE = 1
ENABLE_PUSH = 2
MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5
MAX_HEADER_LIST_SIZE = 6

DEFAULT_WINDOW_BYTES = 65535
"""Windows of streams until SETTINGS say otherwise, and the connection's at its beginning."""
MAX_WINDOW_BYTES = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What we ask of a peer, and by which terms we treat it."""

    stream_window_bytes: int = DEFAULT_WINDOW_BYTES
    connection_window_bytes: int = DEFAULT_WINDOW_BYTES
    """At least the default; more is granted by a WINDOW_UPDATE at the beginning."""
    window_update_ratio: float = 0.5
    """Consumed bytes are granted again once a window has fallen below this part of its size."""
    header_table_bytes: int = DEFAULT_TABLE_BYTES
    max_frame_bytes: int = frames.MIN_FRAME_BYTES
    max_header_list_bytes: int = 8192
    max_header_fields: int = 128
    max_concurrent_streams: int = 1000
    """Streams that a client may have open here; servers say so."""

    def least_grant(self, window_bytes: int) -> int:
        """Returns the consumed bytes of a window of that size from which on they are granted."""
        return max(1, int(window_bytes * (1 - self.window_update_ratio)))

    def pairs(self, *, is_client: bool) -> Iterator[tuple[int, int]]:
        """Yields the settings that differ from the protocol's defaults."""
        if self.header_table_bytes != DEFAULT_TABLE_BYTES:
            yield HEADER_TABLE_SIZE, self.header_table_bytes
        if is_client:
            yield ENABLE_PUSH, 0
        else:
            yield MAX_CONCURRENT_STREAMS, self.max_concurrent_streams
        if self.stream_window_bytes != DEFAULT_WINDOW_BYTES:
            yield INITIAL_WINDOW_SIZE, self.stream_window_bytes
        if self.max_frame_bytes != frames.MIN_FRAME_BYTES:
            yield MAX_FRAME_SIZE, self.max_frame_bytes
        yield MAX_HEADER_LIST_SIZE, self.max_header_list_bytes


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """When a client asks a server that is silent if it is still there, by a PING; in seconds."""

    after_seconds: float = 330.0
    """Without a byte from the server, while streams are open; infinity means never.

    Servers of gRPC end connections on which PINGs arrive oftener than every five minutes, data
    apart (grpc: doc/keepalive.md).
    """
    answer_seconds: float = 10.0
    """Seconds for its answer; without one the connection is closed."""


class PeerSettings:
    """What the peer has asked for so far."""

    __slots__ = (
        "header_table_bytes",
        "max_concurrent_streams",
        "max_frame_bytes",
        "stream_window_bytes",
    )

    def __init__(self) -> None:
        self.header_table_bytes = DEFAULT_TABLE_BYTES
        self.max_concurrent_streams = 100
        """Until the peer says otherwise; the protocol's own default is no limit at all."""
        self.stream_window_bytes = DEFAULT_WINDOW_BYTES
        self.max_frame_bytes = frames.MIN_FRAME_BYTES

    def update(self, payload: bytes) -> None:
        """Takes over the settings of a frame, unknown ones aside. Raises H2ConnectionError.

        The last value of each counts; every one must be valid.
        """
        for setting, value in frames.read_settings(payload):
            if setting == INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW_BYTES:
                    raise H2ConnectionError(
                        ErrorCode.FLOW_CONTROL_ERROR, f"SETTINGS_INITIAL_WINDOW_SIZE is {value}"
                    )
                self.stream_window_bytes = value
            elif setting == MAX_FRAME_SIZE:
                if not frames.MIN_FRAME_BYTES <= value <= frames.MAX_FRAME_BYTES:
                    raise H2ConnectionError(
                        ErrorCode.PROTOCOL_ERROR, f"SETTINGS_MAX_FRAME_SIZE is {value}"
                    )
                self.max_frame_bytes = value
            elif setting == MAX_CONCURRENT_STREAMS:
                self.max_concurrent_streams = value
            elif setting == HEADER_TABLE_SIZE:
                self.header_table_bytes = value
            elif setting == ENABLE_PUSH and value > 1:
                raise H2ConnectionError(
                    ErrorCode.PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH is {value}"
                )
