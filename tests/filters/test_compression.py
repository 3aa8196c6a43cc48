"""Which responses are compressed, and that they stay what they were."""

import gzip
import zlib

import pytest

from meshproxy.errors import ConnectionClosed
from meshproxy.filters.compression import Compress, GzipBody, accepts_gzip
from meshproxy.http.body import Body
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response
from tests.kit.messages import Arriving, Replies, request, response

TEXT = b"all work and no play " * 50
ASKED = (b"Accept-Encoding", b"gzip")
HTML = (b"Content-Type", b"text/html; charset=utf-8")
Pair = tuple[bytes, bytes]


def served(asked: Request, reply: Response, level: int = -1) -> Response:
    return Compress(level)(asked, Replies(reply))


def ok(*fields: Pair, body: bytes | Body = TEXT, status: int = 200) -> Response:
    size = [(b"Content-Length", b"%d" % len(body))] if isinstance(body, bytes) else []
    answer = response(status, *fields, *size)
    answer.body = body
    return answer


@pytest.mark.parametrize("level", [-1, 1, 9])
def test_a_text_at_hand_is_compressed_whole(level: int) -> None:
    answer = served(request(ASKED), ok(HTML), level)
    assert isinstance(answer.body, bytes)
    assert gzip.decompress(answer.body) == TEXT
    assert len(answer.body) < len(TEXT)
    assert answer.headers.get(b"content-encoding") == b"gzip"
    assert answer.headers.get(b"vary") == b"Accept-Encoding"
    assert b"content-length" not in answer.headers


@pytest.mark.parametrize(
    "kind",
    [
        *(b"text/plain", b"text/event-stream", b"TEXT/CSS ; x=y", b"application/json"),
        *(b"application/problem+json", b"image/svg+xml", b"application/javascript"),
    ],
)
def test_textual_types_are_compressed(kind: bytes) -> None:
    answer = served(request(ASKED), ok((b"Content-Type", kind)))
    assert answer.headers.get(b"content-encoding") == b"gzip"


@pytest.mark.parametrize(
    "kind",
    [
        b"image/png",
        b"application/octet-stream",
        b"video/mp4",
        b"application/zip",
        b"application/grpc+json",
        b"",
        b"x",
    ],
)
def test_other_types_are_left_alone(kind: bytes) -> None:
    answer = served(request(ASKED), ok((b"Content-Type", kind)))
    assert answer.body == TEXT
    assert answer.headers.names == [b"content-type", b"content-length"]


@pytest.mark.parametrize(
    "field",
    [
        (b"Content-Encoding", b"br"),
        (b"Content-Encoding", b"identity"),
        (b"Cache-Control", b"public, No-Transform"),
        (b"Content-Range", b"bytes 0-9/10"),
        (b"Content-MD5", b"x"),
        (b"Repr-Digest", b"x"),
    ],
)
def test_a_head_that_speaks_of_these_very_bytes_keeps_them(field: Pair) -> None:
    answer = served(request(ASKED), ok(HTML, field))
    assert answer.body == TEXT
    assert b"vary" not in answer.headers


@pytest.mark.parametrize("status", [204, 205, 206, 304])
def test_a_status_without_a_whole_body_is_left_alone(status: int) -> None:
    answer = served(request(ASKED), ok(HTML, status=status))
    assert b"content-encoding" not in answer.headers


def test_a_client_may_forbid_it() -> None:
    answer = served(request(ASKED, (b"Cache-Control", b"no-transform")), ok(HTML))
    assert answer.body == TEXT


def test_an_empty_body_stays_empty() -> None:
    answer = served(request(ASKED), ok(HTML, body=b""))
    assert (answer.body, answer.headers.get(b"content-length")) == (b"", b"0")


@pytest.mark.parametrize(
    ("value", "is_accepted"),
    [
        (b"gzip", True),
        (b"x-gzip", True),
        (b"br, GZIP;q=0.1", True),
        (b"deflate, *", True),
        (b"*;q=0.5", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000, *", False),
        (b"*;q=0", False),
        (b"gzip;q=", False),
        (b"gzip;q=nan", False),
        (b"deflate, br", False),
        (b"gzipped", False),
        (b"", False),
    ],
)
def test_what_a_client_takes(value: bytes, *, is_accepted: bool) -> None:
    assert accepts_gzip(of((b"Accept-Encoding", value))) is is_accepted


@pytest.mark.parametrize("fields", [(), ((b"Accept-Encoding", b"br"),)])
def test_who_does_not_ask_gets_the_response_as_it_is(fields: tuple[Pair, ...]) -> None:
    answer = served(request(*fields), ok(HTML))
    assert answer.body == TEXT
    assert answer.headers.names == [b"content-type", b"content-length"]


@pytest.mark.parametrize(
    ("there", "after"),
    [
        ([b"Origin"], [b"Origin", b"Accept-Encoding"]),
        ([b"Origin, accept-encoding"], [b"Origin, accept-encoding"]),
        ([b"*"], [b"*"]),
    ],
)
def test_vary_names_the_field_once(there: list[bytes], after: list[bytes]) -> None:
    answer = served(request(ASKED), ok(HTML, *((b"Vary", value) for value in there)))
    assert answer.headers.get_all(b"vary") == after


@pytest.mark.parametrize(("tag", "after"), [(b'"a"', b'W/"a"'), (b'W/"a"', b'W/"a"')])
def test_a_strong_tag_becomes_weak(tag: bytes, after: bytes) -> None:
    answer = served(request(ASKED), ok(HTML, (b"ETag", tag), (b"Accept-Ranges", b"bytes")))
    assert answer.headers.get_all(b"etag") == [after]
    assert b"accept-ranges" not in answer.headers


def test_head_says_what_get_would() -> None:
    tag, size = (b"ETag", b'"a"'), (b"Content-Length", b"1050")
    got = served(request(ASKED), response(200, HTML, tag, size, body=TEXT))
    head = served(request(ASKED, method=b"HEAD"), response(200, HTML, tag, size))
    assert head.headers.lines == got.headers.lines
    assert b"content-encoding" in head.headers
    assert b"content-length" not in head.headers
    assert head.body == b""


def test_each_piece_can_be_read_at_once() -> None:
    body = GzipBody(Arriving(b"first ", b"second", trailers=(trailers := of((b"X", b"1")))), 6)
    unpacker = zlib.decompressobj(31)
    pieces = [unpacker.decompress(piece) for piece in body]
    assert pieces == [b"first ", b"second", b""]
    assert unpacker.eof
    assert body.read() == b""
    assert body.trailers is trailers


def test_a_body_that_breaks_off_breaks_off() -> None:
    body = GzipBody(Arriving(b"first", ConnectionClosed("lost")), 6)
    unpacker = zlib.decompressobj(31)
    assert unpacker.decompress(body.read() or b"") == b"first"
    with pytest.raises(ConnectionClosed):
        body.read()
    assert not unpacker.eof


def test_closing_closes_what_is_below() -> None:
    below = Arriving(TEXT)
    served(request(ASKED), ok(HTML, body=below)).close()
    assert below.is_closed
