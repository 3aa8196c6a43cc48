"""Heads are read strictly; tests/fuzz compares with h11."""

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.errors import (
    BadRequest,
    BadResponse,
    HeadersTooLarge,
    HttpVersionNotSupported,
    LoopDetected,
    ProxyError,
)
from meshproxy.http.head import CRLF, check_request_size, is_hopeless, parse_request, parse_response
from meshproxy.http.limits import Limits


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET / HTTP/1.1", (b"GET", b"/", b"1.1")),
        (b"GET / HTTP/1.0", (b"GET", b"/", b"1.0")),
        (b"GET / HTTP/1.7", (b"GET", b"/", b"1.1")),
        (b"get /%2F/../\xe9 HTTP/1.1", (b"get", b"/%2F/../\xe9", b"1.1")),
        (b"M-SEARCH * HTTP/1.1", (b"M-SEARCH", b"*", b"1.1")),
    ],
)
def test_a_request_line_has_three_parts(line: bytes, expected: tuple[bytes, ...]) -> None:
    *first, headers = parse_request(line + b"\r\nHost: a")
    assert tuple(first) == expected
    assert headers.lines == [b"Host: a"]


@pytest.mark.parametrize(
    "head",
    [
        b"", b"GET", b"GET /", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1",
        b"GET\t/ HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /\r HTTP/1.1", b"GET /\n HTTP/1.1",
        b"G(T / HTTP/1.1", b"GET / HTTP/1.10", b"GET / http/1.1", b"GET / HTTP/x.1",
        b"GET / HTTP/1.1\nX: y", b"GET / HTTP/1.1\r\nX: \n\r", b"GET / HTTP/1.1\r\nX: a\r\r\nY: b",
        b"GET / HTTP/1.1\r\nX: a\r\n b", b"GET / HTTP/1.1\r\nX: \x7f", b"\xb2 / HTTP/1.1",
        b"GET / HTTP/1.\xb2",
    ],
)  # fmt: skip
def test_what_is_no_request_is_a_400(head: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_request(head)


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/3.1"])
def test_another_version_is_a_505(version: bytes) -> None:
    with pytest.raises(HttpVersionNotSupported):
        parse_request(b"GET / " + version)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK", (b"1.1", 200, b"OK")),
        (b"HTTP/1.0 404 Not Found", (b"1.0", 404, b"Not Found")),
        (b"HTTP/1.1 200 ", (b"1.1", 200, b"")),
        (b"HTTP/1.1 200", (b"1.1", 200, b"")),
        (b"HTTP/1.2 999 \xe9\t!", (b"1.1", 999, b"\xe9\t!")),
        (b"HTTP/1.1 100 Continue", (b"1.1", 100, b"Continue")),
    ],
)
def test_a_status_line_may_lack_a_reason(line: bytes, expected: tuple[bytes, int, bytes]) -> None:
    *first, headers = parse_response(line + b"\r\nA: b")
    assert tuple(first) == expected
    assert headers.lines == [b"A: b"]


@pytest.mark.parametrize(
    "head",
    [
        b"", b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 20", b"HTTP/1.1 2000", b"HTTP/1.1 099 No",
        b"HTTP/1.1 +20 OK", b"HTTP/1.1  200 OK", b"HTTP/2.0 200 OK", b"http/1.1 200 OK",
        b"ICY 200 OK", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 OK\nX: y",
        b"HTTP/1.1 200 OK\r\nX y", b"HTTP/1.1 200 OK\r\nX : y", b"HTTP/1.1 200 OK\r\nX: y\r\n z",
        b"HTTP/1.1 200 OK\r\nX: \n", b"HTTP/1.1 \xb2\xb2\xb2 OK",
    ],
)  # fmt: skip
def test_what_is_no_response_is_a_502(head: bytes) -> None:
    with pytest.raises(BadResponse):
        parse_response(head)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", False), (b"GET / HTTP/1.1\r", False), (b"GET / HTTP/1.1\r\nX: y\r\n\r", False),
        (b"GET /\n", True), (b"GET /\rx", True), (b"\x16\x03", True), (b"\r\r", True),
        (b"a\r\n\n", True), (b"a\0\r", True),
    ],
)  # fmt: skip
def test_what_no_byte_can_mend_is_hopeless(data: bytes, *, expected: bool) -> None:
    assert is_hopeless(data) is expected


heads = st.binary(max_size=80) | st.lists(
    st.sampled_from(
        [b"GET", b" ", b"/", b"HTTP/1.1", b"HTTP/1.0", b"\r\n", b"\n", b"\r", b"Host", b":", b"a",
         b"Content-Length", b"Transfer-Encoding", b"chunked", b"5", b",", b"\t", b"\0", b"\xff",
         b"200", b"\r\n ", b"http://", b"@", b"["]
    ),
    max_size=16,
).map(b"".join)  # fmt: skip


@given(heads)
def test_random_bytes_raise_only_what_is_answered(head: bytes) -> None:
    for parse in (parse_request, parse_response):
        with contextlib.suppress(BadRequest, BadResponse, HttpVersionNotSupported):
            parse(head)


@given(heads, st.binary(max_size=20))
def test_what_is_hopeless_is_refused_whatever_follows(head: bytes, more: bytes) -> None:
    if is_hopeless(head):
        with pytest.raises(BadRequest):
            parse_request(head + more)


TEXT = string.ascii_letters + string.digits + ' \t-_.:;,/"\xe9'
fields = st.lists(
    st.tuples(
        st.text(string.ascii_letters + "-_", min_size=1, max_size=8).map(str.encode),
        st.text(TEXT, max_size=12).map(lambda text: text.encode("latin-1")),
    ),
    max_size=5,
)


@given(st.sampled_from([b"GET", b"x!y"]), st.from_regex(rb"/[!-~]{0,9}", fullmatch=True), fields)
def test_what_was_written_again_reads_the_same(
    method: bytes, target: bytes, pairs: list[tuple[bytes, bytes]]
) -> None:
    lines = [name + b":" + value for name, value in pairs]
    first = parse_request(CRLF.join([b"%b %b HTTP/1.1" % (method, target), *lines]))
    again = parse_request(CRLF.join([b"%b %b HTTP/1.1" % first[:2], *first[3].lines]))
    assert again[:3] == first[:3] == (method, target, b"1.1")
    assert list(again[3].items()) == list(first[3].items())


@pytest.mark.parametrize(("hops", "error"), [(3, HeadersTooLarge), (4, LoopDetected)])
def test_a_head_that_outgrew_its_limit_on_its_way_through_proxies_is_in_a_loop(
    hops: int, error: type[ProxyError]
) -> None:
    via = b"Via: " + b", ".join([b"1.1 linkerd"] * hops)
    head = b"GET / HTTP/1.1\r\nX: " + b"x" * 8192 + b"\r\n" + via
    with pytest.raises(error):
        check_request_size(head, Limits())
