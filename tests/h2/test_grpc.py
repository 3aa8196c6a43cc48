"""Status codes and messages of gRPC, as fields."""

import re
from urllib.parse import unquote

import pytest

from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.grpc import (
    MAX_MESSAGE,
    GrpcStatus,
    encode_message,
    is_grpc,
    read_status,
    reset_of_status,
    status_of_reset,
)
from meshproxy.http.headers import of


def test_a_reset_has_a_status() -> None:
    assert status_of_reset(ErrorCode.REFUSED_STREAM) is GrpcStatus.UNAVAILABLE
    assert status_of_reset(ErrorCode.CANCEL) is GrpcStatus.CANCELLED
    assert status_of_reset(ErrorCode.STREAM_CLOSED) is GrpcStatus.UNKNOWN


def test_a_status_has_a_reset() -> None:
    assert reset_of_status(GrpcStatus.UNAVAILABLE) is ErrorCode.REFUSED_STREAM
    assert reset_of_status(GrpcStatus.DEADLINE_EXCEEDED) is ErrorCode.CANCEL


@pytest.mark.parametrize(
    ("kind", "is_one"),
    [(b"application/grpc", True), (b"application/grpc+proto", True), (b"application/json", False)],
)
def test_a_call_is_known_by_its_content_type(kind: bytes, is_one: bool) -> None:
    assert is_grpc(of((b"Content-Type", kind))) is is_one
    assert not is_grpc(of())


@pytest.mark.parametrize(
    ("value", "status"), [(b"0", 0), (b"14", 14), (b"abc", -1), (b"-1", -1), (b"9999", -1)]
)
def test_a_status_is_a_short_number(value: bytes, status: int) -> None:
    assert read_status(of((b"grpc-status", value))) == status
    assert read_status(of()) is None


def test_a_message_is_ascii_without_controls_and_short() -> None:
    text = "no endpoint for /svc/web: 100 %\n\u00e9"
    encoded = encode_message(text)
    assert encoded == b"no endpoint for /svc/web: 100 %25%0A%C3%A9"
    assert unquote(encoded.decode()) == text
    for before in range(3):
        long = encode_message("x" * (MAX_MESSAGE - 2 + before) + "\u00e9" * 9)
        assert len(long) <= MAX_MESSAGE
        assert re.fullmatch(rb"(?:[^%]|%[0-9A-F]{2})+", long)
