"""Where a message ends, and everything two parsers could read differently."""

import pytest

from meshproxy.errors import BadRequest, BadResponse, CodingNotImplemented
from meshproxy.http.framing import (
    CHUNKED,
    UNTIL_CLOSE,
    announces_body,
    content_length,
    request_length,
    response_length,
)
from meshproxy.http.headers import Headers, parse_fields


def headers(*lines: bytes) -> Headers:
    return parse_fields(list(lines), BadRequest)


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        ([], 0),
        ([b"Content-Length: 0"], 0),
        ([b"Content-Length:\t12 "], 12),
        ([b"content-length: 5", b"CONTENT-LENGTH: 5"], 5),
        ([b"Content-Length: 0012"], 12),
        ([b"Content-Length: 000"], 0),
        ([b"Content-Length: 9999999999999999999"], 9999999999999999999),
        ([b"Transfer-Encoding: chunked"], CHUNKED),
        ([b"transfer-encoding: \tCHUNKED\t"], CHUNKED),
    ],
)
def test_a_request_has_one_framing(lines: list[bytes], length: int) -> None:
    read = headers(*lines)
    assert request_length(read, b"1.1") == length
    assert read.names.count(b"content-length") <= 1
    if length > 0:
        assert read.get(b"content-length") == b"%d" % length


NO_LENGTHS = [
    b"", b"+5", b"-5", b"0x5", b"1_0", b"5.0", b"1 0", b"5,6", b"5, 05", b"5,", b",5", b"5,,5",
    b"5;5", b'"5"', b"\xb2", b"5\xa0", b"\x855",
    b"10000000000000000000000", b"00000000000000000005", b"five", b"5;",
]  # fmt: skip


@pytest.mark.parametrize("value", NO_LENGTHS)
def test_what_is_no_number_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest):
        request_length(headers(b"Content-Length: " + value), b"1.1")
    with pytest.raises(BadResponse):
        response_length(headers(b"Content-Length: " + value))
    with pytest.raises(BadResponse):
        content_length(headers(b"Content-Length: 5", b"Content-Length: " + value), BadResponse)


@pytest.mark.parametrize("value", [b"5, 5", b"5,5,\t5 ,5"])
def test_a_list_of_equal_lengths_is_one_length_from_an_endpoint_alone(value: bytes) -> None:
    read = headers(b"Content-Length: " + value, b"Content-Length: 5")
    assert response_length(read) == 5
    assert read.get_all(b"content-length") == [b"5"]
    with pytest.raises(BadRequest):
        request_length(headers(b"Content-Length: " + value), b"1.1")


NO_CODINGS = [
    b"", b"gzip", b"identity", b"chunked, chunked", b"chunked, gzip", b"gzip, chunked, chunked",
    b"a b, chunked", b"gzip,, chunked", b"chunked;q=1, chunked",
    b'"chunked"', b"chunked;q=1", b"chunked\xa0", b"\x85chunked", b",chunked", b"chunked,",
    b"chun ked", b"xchunked",
]  # fmt: skip


@pytest.mark.parametrize("value", NO_CODINGS)
def test_a_coding_that_is_not_exactly_chunked_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest):
        request_length(headers(b"Transfer-Encoding: " + value), b"1.1")
    with pytest.raises(BadResponse):
        response_length(headers(b"Transfer-Encoding: " + value))


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: x;a=b ,\tidentity, Chunked"],
        [b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"],
    ],
)
def test_an_unknown_coding_below_chunks_is_not_implemented(lines: list[bytes]) -> None:
    with pytest.raises(CodingNotImplemented):
        request_length(headers(*lines), b"1.1")
    with pytest.raises(BadResponse):
        response_length(headers(*lines))


@pytest.mark.parametrize(
    ("lines", "announced"),
    [
        ([], False),
        ([b"Content-Length: 0"], False),
        ([b"Content-Length: 00, 00"], False),
        ([b"Content-Length: 1"], True),
        ([b"Transfer-Encoding: chunked"], True),
        ([b"Content-Length: 0", b"Transfer-Encoding: x"], True),
    ],
)
def test_what_announces_a_body(lines: list[bytes], *, announced: bool) -> None:
    assert announces_body(headers(*lines)) is announced


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], b"1.1"),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 0"], b"1.1"),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], b"1.1"),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"], b"1.1"),
        ([b"Transfer-Encoding: chunked"], b"1.0"),
        ([b"Content-Length: 5", b"Content-Length: 6"], b"1.1"),
    ],
)
def test_a_request_of_two_framings_is_refused(lines: list[bytes], version: bytes) -> None:
    with pytest.raises(BadRequest):
        request_length(headers(*lines), version)


@pytest.mark.parametrize(
    ("lines", "length"),
    [
        ([], UNTIL_CLOSE),
        ([b"Content-Length: 7"], 7),
        ([b"Content-Length: 7", b"Content-Length: 7"], 7),
        ([b"Transfer-Encoding: chunked"], CHUNKED),
    ],
)
def test_a_response_may_end_with_its_connection(lines: list[bytes], length: int) -> None:
    assert response_length(headers(*lines)) == length


@pytest.mark.parametrize("value", [b"5", b"nonsense"])
def test_chunked_wins_in_a_response_and_the_length_goes(value: bytes) -> None:
    read = headers(b"Content-Length: " + value, b"Transfer-Encoding: chunked")
    assert response_length(read) == CHUNKED
    assert b"content-length" not in read
