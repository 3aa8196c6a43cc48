"""What ends at this hop, what never does, and what may be upgraded."""

import pytest

from meshproxy.errors import BadRequest
from meshproxy.http.headers import parse_fields
from meshproxy.http.hop import connection_options, strip, strip_request, take_close

STAYS = [b"Host: a", b"X-Stays: 1"]


def stripped(*lines: bytes, may_upgrade: bool = False) -> list[bytes]:
    headers = parse_fields([*STAYS, *lines], BadRequest)
    strip(headers, may_upgrade=may_upgrade)
    assert len(headers.names) == len(headers.lines)
    return headers.lines[2:]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"Connection: close"],
        [b"connection: keep-alive"],
        [b"Connection: keep-alive", b"Connection: close"],
        [b"Connection:"],
        [b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive"],
        [b"TE: trailers", b"Trailer: X-Sum", b"Transfer-Encoding: chunked"],
        [b"Upgrade: websocket"],
        [b"Proxy-Authenticate: Basic", b"Proxy-Authorization: x"],
        [b"Connection: X-Gone, \t x-too", b"X-Gone: 1", b"x-gone: 2", b"X-Too: 3"],
        [b"X-Gone: 1", b"Connection: close", b"connection: X-GONE"],
        [b"CONNECTION: close, te", b"te: x"],
    ],
)
def test_what_belongs_to_one_hop_is_removed(lines: list[bytes]) -> None:
    assert stripped(*lines) == []


@pytest.mark.parametrize(
    "kept", [b"Host: b", b"Content-Length: 5", b"Via: 1.1 x", b"Cookie: c", b"Set-Cookie: c",
             b"l5d-dtab: /a=>/b", b"L5d-Ctx-Trace: x"]
)  # fmt: skip
def test_naming_does_not_remove_framing_routing_or_trust(kept: bytes) -> None:
    name = kept.partition(b":")[0]
    assert stripped(b"Connection: close, " + name, kept) == [kept]


WEBSOCKET = b"Upgrade: websocket"


@pytest.mark.parametrize(
    ("lines", "upgraded"),
    [
        ([b"Connection: Upgrade", WEBSOCKET], True),
        ([b"Connection: keep-alive, upgrade", WEBSOCKET], True),
        ([b"Connection: upgrade", b"Upgrade: h2c"], False),
        ([b"Connection: upgrade", b"Upgrade: websocket, H2C"], False),
        ([b"Connection: close", WEBSOCKET], False),
        ([WEBSOCKET], False),
        ([b"Connection: upgrade"], False),
    ],
)
def test_an_upgrade_stays_only_where_it_is_named_and_not_h2c(
    lines: list[bytes], *, upgraded: bool
) -> None:
    expected = [b"Connection: upgrade", WEBSOCKET] if upgraded else []
    assert stripped(*lines, may_upgrade=True) == expected
    assert stripped(*lines) == []


def test_options_are_those_of_every_field_in_lower_case() -> None:
    headers = parse_fields([b"Connection: Close ,\tX", b"connection: y,,z"], BadRequest)
    assert connection_options(headers) >= {b"close", b"x", b"y", b"z"}


@pytest.mark.parametrize(
    ("lines", "closes"),
    [
        ([], False),
        ([b"Connection: keep-alive"], False),
        ([b"Connection: keep-alive", b"Connection: CLOSE"], True),
        ([b"connection: x, Close"], True),
        ([b"Connection: closed"], False),
    ],
)
def test_close_is_an_option_anywhere(lines: list[bytes], *, closes: bool) -> None:
    assert take_close(parse_fields(lines, BadRequest)) is closes


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([b"Connection: keep-alive"], []),
        ([b"connection: close"], []),
        ([b"Connection: keep-alive, X"], [b"Connection: keep-alive, X"]),
        ([b"Connection: close", b"Connection: X"], [b"Connection: close", b"Connection: X"]),
    ],
)
def test_a_connection_field_that_names_nothing_is_taken(
    lines: list[bytes], left: list[bytes]
) -> None:
    headers = parse_fields([b"A: 1", *lines], BadRequest)
    take_close(headers)
    assert (headers.lines, len(headers.names)) == ([b"A: 1", *left], 1 + len(left))


def test_a_request_of_http_2_loses_credentials_for_proxies_alone() -> None:
    fields = [b"te: trailers", b"trailer: grpc-status", b"proxy-authorization: x"]
    headers = parse_fields([*STAYS, *fields], BadRequest)
    strip_request(headers, b"2")
    assert headers.lines[2:] == [b"te: trailers", b"trailer: grpc-status"]
    strip_request(headers, b"1.1")
    assert headers.lines == STAYS
