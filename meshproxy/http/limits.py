"""Limits on the size and the time of messages, in bytes and seconds; infinity means none."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on one side's messages; the defaults are those of docs/limits.md."""

    first_line: int = 4096
    """Bytes of a request or status line (maxInitialLineKB)."""
    header_bytes: int = 8192
    """Bytes of all fields, and of all trailers (maxHeadersKB)."""
    header_count: int = 128
    """Number of fields (maxHeaderCount)."""
    body_bytes: float = math.inf
    """Bytes of a request body (maxRequestBodyKB)."""
    replay_bytes: int = 5120
    """Bytes of a request body kept for a retry (streamAfterContentLengthKB, retryBufferKB)."""
    error_bytes: int = 5120 * 1024
    """Bytes of an error's text (maxErrResponseKB)."""
    head_seconds: float = 10.0
    """From the first to the last byte of a head (headerReadTimeoutMs)."""
    idle_seconds: float = 600.0
    """Between two requests on a connection, and without traffic in a tunnel."""
    life_seconds: float = math.inf
    """Life of a client's connection, which is closed after the response to its last request."""
    read_idle: float = 300.0
    """Between two pieces of a request body."""
    response_idle: float = 300.0
    """Between two pieces of a response body."""
    write_timeout: float = 60.0
    """Without the peer accepting a byte."""
    attempt: float = math.inf
    """From the start of an attempt to the first byte of its response (requestAttemptTimeoutMs)."""
    first_byte: float = 300.0
    """From the end of a request to the first byte of its response, for each attempt."""
    connect_ports: frozenset[int] = frozenset({443})
    """Ports that CONNECT may name (connectPorts)."""
