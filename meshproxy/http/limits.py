"""How much and how long a connection may take; bytes and seconds, infinity where nothing limits."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one side's messages; the defaults are those of docs/limits.md."""

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
    """From the first byte of a head to its last (headerReadTimeoutMs)."""
    idle_seconds: float = 600.0
    """Between two requests on a connection, and without a byte in a tunnel."""
    life_seconds: float = math.inf
    """Of a client's connection, which ends after the response then due."""
    read_idle: float = 300.0
    """Between two pieces of a request body."""
    response_idle: float = 300.0
    """Between two pieces of a response body."""
    write_timeout: float = 60.0
    """Without the peer taking a byte."""
    attempt: float = math.inf
    """From the start of an attempt to the first byte of its response (requestAttemptTimeoutMs)."""
    first_byte: float = 300.0
    """From the end of a request to the first byte of its response, each attempt."""
    connect_ports: frozenset[int] = frozenset({443})
    """Ports that a CONNECT may name (connectPorts)."""
