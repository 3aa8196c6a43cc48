"""The chunked coding: the grammar, and any cut of it; tests/fuzz compares with h11."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.errors import BadRequest, BadResponse, ProxyError
from meshproxy.http.chunked import MAX_LINE, ChunkedDecoder, encode, last_chunk
from meshproxy.http.headers import of

LIMIT = 8192


def decode(*pieces: bytes) -> tuple[bytes, ChunkedDecoder]:
    decoder = ChunkedDecoder(BadRequest, LIMIT)
    body = b"".join(part for piece in pieces for part in decoder.feed(piece))
    return body, decoder


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"00A\r\n0123456789\r\nb\r\n0123456789a\r\n0000\r\n\r\n", b"01234567890123456789a"),
        (b'1;a\r\nx\r\n1 ;b=c\r\ny\r\n1\t;"\xff"\r\nz\r\n0;q\r\n\r\n', b"xyz"),
        (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        (b"0000000000000001\r\nx\r\n0\r\n\r\n", b"x"),
    ],
)
@pytest.mark.parametrize("rest", [b"", b"GET /", b"\r\n0\r\n\r\n"])
def test_a_body_is_the_data_of_its_chunks(raw: bytes, body: bytes, rest: bytes) -> None:
    got, decoder = decode(raw + rest)
    assert (got, decoder.done, decoder.rest, decoder.trailers) == (body, True, rest, None)


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n", b"x\r\n", b"+1\r\nx\r\n", b"-1\r\nx\r\n", b"0x1\r\nx\r\n", b"1_0\r\n",
        b" 1\r\nx\r\n",
        b"1 0\r\nx\r\n", b"1 \x0b\r\nx\r\n", b"1 \r\r\nx\r\n",
        b"00000000000000001\r\n", b";a\r\n", b"1\n", b"1;a\nb\r\n", b"1;a\rb\r\n",
        b"1;\0\r\n", b"1;\x7f\r\n", b"x", b"1x", b"8000000000000000\r\n",
        b"1\r\nxy", b"1\r\nx\n", b"1\r\nx\rx", b"0\r\nX\r\n\r\n",
        b"0\r\n X: a\r\n\r\n", b"0\r\nX: a\r\n b\r\n\r\n", b"0\r\nX : a\r\n\r\n",
        b"0\r\nX: \0\r\n\r\n",
        b"0\r\nX: a\nY: b\r\n\r\n", b"0\r\nX: a\rb", b"1;" + b"x" * 5000, b"1" * 5000,
        (b"1;" + b"x" * 4000 + b"\r\nx\r\n") * 17, b"0\r\nX: " + b"x" * 9000,
        b"0\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"0\r\n" + b"X: y\r\n" * 129 + b"\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("refused", [BadRequest, BadResponse])
def test_anything_else_is_refused_as_soon_as_it_is_seen(
    raw: bytes, refused: type[ProxyError]
) -> None:
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        decoder = ChunkedDecoder(refused, LIMIT)
        with pytest.raises(refused):
            any(decoder.feed(piece) is None for piece in pieces)


@pytest.mark.parametrize("raw", [b"1 \r\nx\r\n0\t \r\n\r\n", b"1 ;a\r\nx\r\n0  \r\n\r\n"])
def test_white_space_after_a_size_is_taken_from_endpoints_alone(raw: bytes) -> None:
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        decoder = ChunkedDecoder(BadResponse, LIMIT)
        assert [part for piece in pieces for part in decoder.feed(piece)] == [b"x"]
        assert decoder.done
        with pytest.raises(BadRequest):
            decode(*pieces)


@pytest.mark.parametrize(
    "raw",
    [b"", b"1", b"1\r", b"1\r\n", b"1\r\nx", b"1\r\nx\r", b"0\r\n", b"0\r\n\r", b"0\r\nX: y\r\n"],
)
def test_a_body_without_its_end_is_not_done(raw: bytes) -> None:
    assert not decode(raw)[1].done


@pytest.mark.parametrize(
    "raw",
    [
        b"1;" + b"x" * (MAX_LINE - 2) + b"\r\nx\r\n0\r\n\r\n",
        b"0\r\nX: " + b"x" * (LIMIT - 3) + b"\r\n\r\n",
        b"0\r\n" + b"X: y\r\n" * 128 + b"\r\n",
    ],
)
def test_what_is_just_within_a_limit_is_read_however_it_is_cut(raw: bytes) -> None:
    for at in range(len(raw) - 12, len(raw)):
        assert decode(raw[:at], raw[at:])[1].done


def test_data_is_given_before_its_chunk_is_whole() -> None:
    decoder = ChunkedDecoder(BadRequest, LIMIT)
    assert decoder.feed(b"5\r\nhe") == [b"he"]
    assert decoder.feed(b"llo") == [b"llo"]
    assert decoder.feed(b"\r\n0\r\n\r\n") == []
    assert decoder.done


def test_trailers_are_read_and_those_of_framing_and_trust_dropped() -> None:
    forbidden = [b"Host", b"content-length", b"Transfer-Encoding", b"TE", b"Authorization",
                 b"l5d-dtab", b"L5D-Err", b"Connection", b"Set-Cookie", b"Via"]  # fmt: skip
    raw = b"0\r\nX-Sum: 1\r\n" + b"".join(name + b": x\r\n" for name in forbidden) + b"x: 2\r\n\r\n"
    trailers = decode(raw)[1].trailers
    assert trailers
    assert trailers.lines == [b"X-Sum: 1", b"x: 2"]
    assert last_chunk(trailers) == b"0\r\nX-Sum: 1\r\nx: 2\r\n\r\n"
    assert decode(b"0\r\nHost: a\r\n\r\n")[1].trailers is None


pieces = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
trailing = st.sampled_from([None, of((b"X-Sum", b"9")), of((b"A", b""), (b"a", b"b"))])


@given(pieces, trailing, st.binary(max_size=10), st.lists(st.integers(0, 400), max_size=12))
def test_any_cut_gives_the_same_body(
    parts: list[bytes], trailers: object, rest: bytes, cuts: list[int]
) -> None:
    raw = b"".join(map(encode, parts)) + last_chunk(trailers)
    places = sorted({0, *(cut for cut in cuts if cut < len(raw)), len(raw)})
    segments = [raw[a:b] for a, b in itertools.pairwise(places)]
    segments[-1] += rest
    body, decoder = decode(*segments)
    assert (body, decoder.done, decoder.rest) == (b"".join(parts), True, rest)
    assert (decoder.trailers.lines if decoder.trailers else []) == (
        trailers.lines if trailers else []
    )


def test_a_view_is_encoded_like_bytes() -> None:
    assert encode(memoryview(b"abc")) == encode(b"abc") == b"3\r\nabc\r\n"
