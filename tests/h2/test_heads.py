"""Headers as fields."""

from meshproxy.h2.decoder import FieldSection
from meshproxy.h2.fields import SensitiveHeaders, request_head
from meshproxy.h2.heads import request_fields, response_fields, trailer_fields, unindexed
from meshproxy.http.headers import of


def test_a_response() -> None:
    headers = of((b"Content-Type", b"text/plain"), (b"X-Name", b" v "))
    once = response_fields(200, headers)
    assert once == ((b":status", b"200"), (b"content-type", b"text/plain"), (b"x-name", b"v"))
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
    assert trailer_fields(headers) == ((b"a", b"b"),)


def test_te_goes_on_as_trailers_alone() -> None:
    assert trailer_fields(of((b"TE", b"gzip"))) == ()
    assert trailer_fields(of((b"TE", b"trailers"))) == ((b"te", b"trailers"),)


def test_a_request_there_and_back() -> None:
    headers = of((b"Accept", b"*/*"), (b"Host", b"web:80"), (b"Accept", b"text/html"))
    fields = request_fields(b"GET", b"http", b"/a?b", headers)
    assert fields == (
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"web:80"),
        (b":path", b"/a?b"),
        (b"accept", b"*/*"),
        (b"accept", b"text/html"),
    )
    head = request_head(FieldSection(fields, frozenset(), is_too_large=False))
    assert request_fields(head.method, head.scheme, head.path, head.headers()) == fields


def test_without_host_there_is_no_authority() -> None:
    assert b":authority" not in dict(request_fields(b"GET", b"http", b"/", of()))


def test_what_was_never_indexed_stays_so() -> None:
    fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b"pin", b"1234"))
    section = FieldSection(fields, frozenset({b"pin"}), is_too_large=False)
    headers = request_head(section).headers()
    assert unindexed(headers.copy()) == {b"pin"}
    assert isinstance(headers, SensitiveHeaders)
    assert unindexed(of((b"pin", b"1234"))) == frozenset()


def test_the_field_of_a_line_that_recurs_is_the_same_object_and_no_other_is_held() -> None:
    for name, recurs in ((b"l5d-dst-client", True), (b"accept", True), (b"l5d-reqid", False)):
        first, again = (trailer_fields(of((name, b"/a")))[0] for _ in range(2))
        assert first == again == (name, b"/a")
        assert (first is again) is recurs
