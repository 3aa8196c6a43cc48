"""Headers as fields."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshproxy.h2 import heads
from meshproxy.h2.decoder import Decoder
from meshproxy.h2.encoder import Encodable, Encoder
from meshproxy.h2.fields import request_head
from meshproxy.h2.heads import request_fields, response_fields, trailer_fields
from meshproxy.h2.section import FieldSection, Shape
from meshproxy.h2.static_table import Field
from meshproxy.http.headers import Headers, of


def read(fields: tuple[Encodable, ...]) -> tuple[Field, ...]:
    """Return what a peer reads."""
    return Decoder(8192, 100).decode(Encoder().encode(fields)).fields


def test_a_response() -> None:
    headers = of((b"Content-Type", b"text/plain"), (b"X-Name", b" v "))
    once = response_fields(200, headers)
    assert read(once[0]) == (
        (b":status", b"200"),
        (b"content-type", b"text/plain"),
        (b"x-name", b"v"),
    )
    assert once[1] == (b":status", b"content-type", b"x-name")
    assert response_fields(200, headers) == once


def test_fields_of_a_connection_are_left_out() -> None:
    headers = of(
        (b"Connection", b"close"),
        (b"Keep-Alive", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"x"),
        (b"Proxy-Connection", b"x"),
        (b"A", b"b"),
    )
    assert read(trailer_fields(headers)[0]) == ((b"a", b"b"),)


@pytest.mark.parametrize(
    ("values", "goes_on"),
    [
        ([b"gzip"], False),
        ([b"trailers"], True),
        ([b" trailers "], True),
        ([b"gzip", b"trailers"], True),
        ([b"trailers", b"trailers"], True),
    ],
)
def test_te_goes_on_as_trailers_alone(values: list[bytes], goes_on: bool) -> None:
    headers = of((b"A", b"b"), *((b"TE", value) for value in values))
    te = ((b"te", b"trailers"),) if goes_on else ()
    assert read(trailer_fields(headers)[0]) == ((b"a", b"b"), *te)
    assert len(headers) == 1 + len(values)


def test_fields_of_a_connection_are_left_out_beside_te() -> None:
    headers = of((b"te", b"trailers"), (b"Connection", b"te"), (b"A", b"b"))
    assert read(trailer_fields(headers)[0]) == ((b"te", b"trailers"), (b"a", b"b"))


def test_a_request_there_and_back() -> None:
    headers = of((b"Accept", b"*/*"), (b"Host", b"web:80"), (b"Accept", b"text/html"))
    fields = read(request_fields(b"GET", b"http", b"/a?b", headers)[0])
    assert fields == (
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"web:80"),
        (b":path", b"/a?b"),
        (b"accept", b"*/*"),
        (b"accept", b"text/html"),
    )
    head = request_head(FieldSection(Shape(fields), []))
    again = request_fields(head.method, head.scheme, head.path, head.headers())
    assert read(again[0]) == fields
    assert again[1] == tuple(name for name, _ in fields)


@pytest.mark.parametrize("headers", [of(), of((b"Host", b""))])
def test_without_host_there_is_no_authority(headers: Headers) -> None:
    assert b":authority" not in dict(read(request_fields(b"GET", b"http", b"/", headers)[0]))


def test_host_may_come_late_and_goes_but_once() -> None:
    headers = of((b"A", b"b"), (b"Host", b"web"))
    assert read(request_fields(b"GET", b"http", b"/", headers)[0])[2:] == (
        (b":authority", b"web"), (b":path", b"/"), (b"a", b"b"),
    )  # fmt: skip


SOME = st.sampled_from(
    [
        (b"Host", b"web"), (b"te", b"trailers"), (b"TE", b"gzip"), (b"Connection", b"close"),
        (b"A", b"1"), (b"b", b"2"), (b"Upgrade", b"x"),
    ]
)  # fmt: skip


@given(st.lists(SOME, max_size=5))
@example([(b"Host", b"web"), (b"te", b"trailers")])
@example([(b"Host", b"web"), (b"TE", b"gzip")])
def test_what_goes_on_is_the_same_with_names_that_came_before(fields: list[Field]) -> None:
    headers = of(*fields)
    names = {name.lower() for name, _ in fields}
    kept = sorted((name, value) for name, value in fields if name in {b"A", b"b"})
    te = [(b"te", b"trailers")] if (b"te", b"trailers") in fields else []
    for path in (b"/a", b"/b"):
        found, their_names = request_fields(b"GET", b"http", path, headers)
        pairs = read(found)
        assert their_names == tuple(name for name, _ in pairs)
        pseudo = [b":method", b":scheme", b":path", *([b":authority"] if b"host" in names else [])]
        assert sorted(name for name, _ in pairs if name[:1] == b":") == sorted(pseudo)
        assert dict(pairs)[b":path"] == path
        others = [pair for pair in pairs if pair[0][:1] != b":" and pair[0] != b"te"]
        assert sorted(others) == [(name.lower(), value) for name, value in kept]
        assert [pair for pair in pairs if pair[0] == b"te"] in (te, te * 2)
        found, their_names = response_fields(200, headers)
        pairs = read(found)
        assert their_names == tuple(name for name, _ in pairs)
        assert not {b"connection", b"upgrade", b"host"} & set(their_names)


def test_of_many_or_long_names_few_are_remembered() -> None:
    long = Headers([b"host", b"x" * 1500], [b"host: web", b"%b: v" % (b"x" * 1500)])
    request_fields(b"GET", b"http", b"/", long)
    response_fields(200, long)
    assert tuple(long.names) not in heads._sent_on
    assert tuple(long.names) not in heads._sent_back
    for number in range(3000):
        some = of((b"Host", b"web"), (b"x-%d" % number, b""))
        request_fields(b"GET", b"http", b"/", some)
        response_fields(200, some)
        assert len(heads._sent_on) <= 1024
        assert len(heads._sent_back) <= 1024


def test_what_was_never_indexed_stays_so() -> None:
    fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b"pin", b"1234"))
    section = FieldSection(Shape(fields, (), frozenset({b"pin"})), [])
    headers = request_head(section).headers()
    assert headers.copy().never_indexed == {b"pin"}
    assert of((b"pin", b"1234")).never_indexed == frozenset()
