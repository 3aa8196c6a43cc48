"""What gRPC says in the fields of HTTP/2: status codes and messages.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md; linkerd:
grpc/runtime/.../GrpcStatus.scala
"""

import enum
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from meshproxy.h2.errors import ErrorCode
from meshproxy.http.headers import Headers

CONTENT_TYPE: Final = b"application/grpc"
STATUS: Final = b"grpc-status"
MESSAGE: Final = b"grpc-message"
MAX_MESSAGE: Final = 1024
"""Bytes of `grpc-message`: an error must not fill the head that it comes in."""
_PRINTABLE: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")


class GrpcStatus(enum.IntEnum):
    """The status codes that a proxy reads or writes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    INTERNAL = 13
    UNAVAILABLE = 14


_OF_RESET: Final[Mapping[int, GrpcStatus]] = {
    ErrorCode.NO_ERROR: GrpcStatus.INTERNAL,
    ErrorCode.PROTOCOL_ERROR: GrpcStatus.INTERNAL,
    ErrorCode.INTERNAL_ERROR: GrpcStatus.INTERNAL,
    ErrorCode.REFUSED_STREAM: GrpcStatus.UNAVAILABLE,
    ErrorCode.ENHANCE_YOUR_CALM: GrpcStatus.RESOURCE_EXHAUSTED,
    ErrorCode.CANCEL: GrpcStatus.CANCELLED,
}


def status_of_reset(code: int) -> GrpcStatus:
    """Returns the status of a call of ours whose stream was reset with *code*."""
    return _OF_RESET.get(code, GrpcStatus.UNKNOWN)


_RESETS: Final[Mapping[GrpcStatus, ErrorCode]] = {
    GrpcStatus.INTERNAL: ErrorCode.INTERNAL_ERROR,
    GrpcStatus.UNAVAILABLE: ErrorCode.REFUSED_STREAM,
    GrpcStatus.RESOURCE_EXHAUSTED: ErrorCode.ENHANCE_YOUR_CALM,
}


def reset_of_status(status: GrpcStatus) -> ErrorCode:
    """Returns the code to reset the stream of a call with, whose outcome is *status*."""
    return _RESETS.get(status, ErrorCode.CANCEL)


def is_grpc(headers: Headers) -> bool:
    """Returns True if the message with these fields belongs to a gRPC call."""
    kind = headers.get(b"content-type")
    return kind is not None and kind.startswith(CONTENT_TYPE)


def read_status(headers: Headers) -> int | None:
    """Returns the number in `grpc-status`; None without one, -1 for one that is not a number."""
    if STATUS not in headers.names:
        return None
    value = headers.get(STATUS) or b""
    return int(value) if value.isdigit() and len(value) <= 3 else -1


def encode_message(text: str) -> bytes:
    """Returns *text*, percent-encoded for `grpc-message` and cut to `MAX_MESSAGE` bytes."""
    encoded = quote(text, safe=_PRINTABLE, errors="replace")[:MAX_MESSAGE].strip(" ")
    escape = encoded.find("%", -2)
    return (encoded if escape < 0 else encoded[:escape]).encode("ascii")
