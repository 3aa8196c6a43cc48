"""The rules of heads and trailers: RFC 9113 sections 8.1 to 8.3."""

import pytest

from meshproxy.h2.fields import request_head, response_head, trailers
from meshproxy.h2.section import FieldSection, Shape
from meshproxy.h2.split import MalformedSection

HEAD = [":method GET", ":scheme http", ":authority web", ":path /x?y"]


def section(*fields: str) -> FieldSection:
    pairs = tuple(
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, _, value in (field.partition(" ") for field in fields)
    )
    return FieldSection(Shape(pairs), [])


def test_a_request_head_is_taken_apart_and_host_is_its_authority() -> None:
    head = request_head(section(*HEAD, "te trailers", "x-a b", "content-length 7"))
    assert (head.method, head.scheme, head.path) == (b"GET", b"http", b"/x?y")
    assert (head.authority, head.length) == (b"web", 7)
    assert head.headers().lines == [
        b"host: web", b"te: trailers", b"x-a: b", b"content-length: 7",
    ]  # fmt: skip


def test_headers_are_made_anew_each_time_and_heads_once() -> None:
    same = section(*HEAD)
    head = request_head(same)
    head.headers().add(b"x", b"y")
    assert same.head is head
    assert head.headers().lines == [b"host: web"]
    answer = section(":status 204")
    assert response_head(answer) is answer.head
    with pytest.raises(MalformedSection):
        trailers(answer)


def test_cookies_are_joined() -> None:
    head = request_head(section(*HEAD, "cookie a=b", "x y", "cookie c=d"))
    assert head.headers().get_all(b"cookie") == [b"a=b; c=d"]


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        (HEAD, b"web"),
        ([HEAD[0], HEAD[1], HEAD[3], "host web"], b"web"),
        ([*HEAD, "host web"], b"web"),
        ([HEAD[0], HEAD[1], HEAD[3]], None),
    ],
)
def test_the_authority_comes_from_either_field(fields: list[str], host: bytes | None) -> None:
    head = request_head(section(*fields))
    assert head.headers().get_all(b"host") == ([host] if host else [])


@pytest.mark.parametrize(
    "fields",
    [
        [":method OPTIONS", ":scheme http", ":path *"],
        [":method CONNECT", ":authority web:443"],
        [":method GET", ":scheme wss", ":path /\xe4"],
    ],
)
def test_other_requests_that_are_right(fields: list[str]) -> None:
    assert request_head(section(*fields)).path in (b"*", b"web:443", b"/\xe4")


@pytest.mark.parametrize(
    "fields",
    [
        HEAD[1:],
        [*HEAD[:1], *HEAD[2:]],
        HEAD[:3],
        [*HEAD, HEAD[0]],
        [*HEAD, ":status 200"],
        [*HEAD, ":protocol websocket"],
        ["x y", *HEAD],
        [*HEAD, "X-Upper y"],
        [*HEAD, "with\xa0space y"],
        [*HEAD, " y"],
        [*HEAD, "x a\nb"],
        [*HEAD, "x a\rb"],
        [*HEAD, "x a\0b"],
        [*HEAD, "x  a"],
        [*HEAD, "x a "],
        [*HEAD, "x a\t"],
        *([*HEAD, f"{name} x"] for name in
          ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade")),
        [*HEAD, "te chunked, trailers"],
        [*HEAD, "te gzip"],
        [*HEAD, "host other"],
        [*HEAD, "host web", "host web"],
        [*HEAD, "content-length x"],
        [*HEAD, "content-length -1"],
        [*HEAD, "content-length 1", "content-length 2"],
        [*HEAD, "content-length " + "9" * 19],
        [*HEAD[:3], ":path "],
        [*HEAD[:3], ":path x"],
        [*HEAD[:3], ":path *"],
        [*HEAD[:3], ":path /a b"],
        [*HEAD[:3], ":path /a#b"],
        [*HEAD[:3], ":path http://web/x"],
        [":method G T", *HEAD[1:]],
        [":method GET", ":scheme ht tp", *HEAD[2:]],
        [*HEAD[:2], ":authority user@web", HEAD[3]],
        [*HEAD[:2], ":authority web/x", HEAD[3]],
        [*HEAD[:2], ":authority we b", HEAD[3]],
        [":method CONNECT", ":authority web:443", ":path /"],
        [":method CONNECT", ":authority web:443", ":scheme http"],
        [":method CONNECT"],
    ],
)  # fmt: skip
def test_a_malformed_request_is_refused(fields: list[str]) -> None:
    with pytest.raises(MalformedSection):
        request_head(section(*fields))


@pytest.mark.parametrize(
    "fields",
    [[], ["x y"], [":status 99"], [":status 600"], [":status 2000"], [":status 101"],
     [":status abc"], [":status 200", ":status 200"], [":status 200", ":path /"],
     [":status 200", "connection close"]],
)  # fmt: skip
def test_a_malformed_response_is_refused(fields: list[str]) -> None:
    with pytest.raises(MalformedSection):
        response_head(section(*fields))


def test_a_response_head_is_taken_apart() -> None:
    head = response_head(section(":status 404", "content-length 0", "set-cookie a", "set-cookie b"))
    assert (head.status, head.length) == (404, 0)
    assert head.headers().get_all(b"set-cookie") == [b"a", b"b"]


def test_trailers_have_no_fields_that_are_for_heads_alone() -> None:
    found = trailers(
        section(
            "grpc-status 0",
            "content-length 7",
            "host evil",
            "l5d-dtab /a",
            "set-cookie a=1",
            "x-a b",
        )
    )
    assert found.lines == [b"grpc-status: 0", b"x-a: b"]
    assert found.names == [b"grpc-status", b"x-a"]
    assert trailers(section("via x")).lines == []


def test_trailers_have_no_pseudo_fields() -> None:
    assert trailers(section("grpc-status 0")).get(b"grpc-status") == b"0"
    with pytest.raises(MalformedSection):
        trailers(section(":status 200"))
