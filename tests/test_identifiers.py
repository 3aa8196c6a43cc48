"""Names of requests, and why there is none."""

from dataclasses import dataclass

import pytest

from meshproxy.errors import BadRequest, UnidentifiedRequest
from meshproxy.http.headers import of
from meshproxy.http.message import Request
from meshproxy.identifiers import (
    Declined,
    HeaderConfig,
    HeaderTokenConfig,
    MethodAndHostConfig,
    PathConfig,
    StaticIdentifierConfig,
    first_of,
)
from meshproxy.naming.path import Path

SVC = Path.of("svc")


@dataclass
class Peer:
    remote: str = "192.0.2.1:5000"
    local: str = "192.0.2.2:4140"


def request(
    target: bytes = b"/", method: bytes = b"GET", version: bytes = b"1.1", **fields: bytes
) -> Request:
    headers = of(*((name.replace("_", "-").encode(), value) for name, value in fields.items()))
    return Request(method, target, version, headers)


def test_header_token_takes_the_host_in_its_one_spelling() -> None:
    identify = HeaderTokenConfig().build(SVC)
    for host in (b"Foo.com:443", b"Foo.com.:0443"):
        assert identify(request(Host=host)) == Path.of("svc", "Foo.com:443")
        assert identify(request(Host=host)) == Path.of("svc", "Foo.com:443")
    with pytest.raises(BadRequest):
        identify(request(Host=b"a b"))


def test_https_without_a_port_is_443() -> None:
    asked = request(Host=b"Foo.com")
    asked.scheme = b"https"
    assert HeaderTokenConfig().build(SVC)(asked) == Path.of("svc", "Foo.com:443")
    found = MethodAndHostConfig().build(SVC)(asked)
    assert found == Path.of("svc", "1.1", "GET", "foo.com:443")
    asked.scheme = b"http"
    assert HeaderTokenConfig().build(SVC)(asked) == Path.of("svc", "Foo.com")


def test_header_token_of_another_header_is_as_it_was_written() -> None:
    identify = HeaderTokenConfig(header="X-Name").build(SVC)
    assert identify(request(x_name=b"a.:080")) == Path.of("svc", "a.:080")


def test_header_token_keeps_slashes_in_its_one_segment() -> None:
    identify = HeaderTokenConfig(header="X-Name").build(SVC)
    assert identify(request(x_name=b"/a/b")) == Path.of("svc", "/a/b")


@pytest.mark.parametrize("fields", [{}, {"Host": b""}], ids=["absent", "empty"])
def test_header_token_declines_without_a_value(fields: dict[str, bytes]) -> None:
    identify = HeaderTokenConfig().build(SVC)
    assert identify(request(**fields)) == Declined("Host header is absent")


def test_header_reads_its_value_as_a_path() -> None:
    identify = HeaderConfig().build(SVC)
    assert identify(request(l5d_name=b"/a/b")) == Path.of("svc", "a", "b")
    assert identify(request()) == Declined("l5d-name header is absent")


def test_header_refuses_what_is_no_path() -> None:
    identify = first_of([HeaderConfig().build(SVC), StaticIdentifierConfig(path=SVC).build(SVC)])
    with pytest.raises(UnidentifiedRequest, match="Unknown destination"):
        identify(request(l5d_name=b"no path"))


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        pytest.param(request(Host=b"Foo.COM:80"), ("1.1", "GET", "foo.com:80"), id="1.1"),
        pytest.param(request(Host=b"Foo.com.:"), ("1.1", "GET", "foo.com"), id="one spelling"),
        pytest.param(request(version=b"1.0", Host=b"foo"), ("1.0", "GET"), id="1.0 has no host"),
        pytest.param(request(b"/x", b"get", Host=b"foo"), ("1.1", "get", "foo"), id="method as is"),
    ],
)
def test_method_and_host(asked: Request, name: tuple[str, ...]) -> None:
    assert MethodAndHostConfig().build(SVC)(asked) == Path.of("svc", *name)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        pytest.param(request(), "HTTP/1.1 request missing hostname", id="no host"),
        pytest.param(request(version=b"2.0"), "Unknown HTTP version 2.0", id="other version"),
    ],
)
def test_method_and_host_declines(asked: Request, reason: str) -> None:
    assert MethodAndHostConfig().build(SVC)(asked) == Declined(reason)


@pytest.mark.parametrize(
    ("target", "rest"),
    [
        pytest.param(b"/a/b?q=/c", ("a", "b"), id="query excluded"),
        pytest.param(b"/", (), id="root"),
    ],
)
def test_method_and_host_may_append_the_target(target: bytes, rest: tuple[str, ...]) -> None:
    identify = MethodAndHostConfig(http_uri_in_dst=True).build(SVC)
    expected = Path.of("svc", "1.1", "GET", "foo", *rest)
    assert identify(request(target, Host=b"foo")) == expected


@pytest.mark.parametrize("target", [b"/a?x=/b/c", b"/a/", b"/a", b"/a/b"])
def test_path_takes_the_first_segment(target: bytes) -> None:
    asked = request(target)
    assert PathConfig().build(SVC)(asked) == Path.of("svc", "a")
    assert asked.target == target


@pytest.mark.parametrize("target", [b"/", b"*", b"/?a/b", b"", b"/a", b"/a/", b"/a?/b"])
def test_path_declines_when_there_are_too_few_segments(target: bytes) -> None:
    identify = PathConfig(segments=2).build(SVC)
    assert identify(request(target)) == Declined("not enough segments in path")


@pytest.mark.parametrize(
    ("target", "sent_on"),
    [
        pytest.param(b"/a/b/c", b"/c", id="the rest"),
        pytest.param(b"/a/b/c/", b"/c/", id="trailing slash"),
        pytest.param(b"/a/b", b"/", id="nothing left"),
        pytest.param(b"/a/b/", b"/", id="a slash left"),
        pytest.param(b"/a/b/c?x=/y/z", b"/c?x=/y/z", id="query"),
        pytest.param(b"/a/b?x=1", b"/?x=1", id="only a query left"),
        pytest.param(b"/a/b//c", b"//c", id="empty segment in the rest"),
    ],
)
def test_path_may_consume_what_it_took(target: bytes, sent_on: bytes) -> None:
    asked = request(target)
    assert PathConfig(segments=2, consume=True).build(SVC)(asked) == Path.of("svc", "a", "b")
    assert asked.target == sent_on


def test_an_empty_first_segment_is_refused_and_nothing_consumed() -> None:
    asked = request(b"//a")
    with pytest.raises(UnidentifiedRequest, match="empty"):
        first_of([PathConfig(consume=True).build(SVC)])(asked)
    assert asked.target == b"//a"


def test_static_is_the_same_for_every_request() -> None:
    identify = StaticIdentifierConfig(path=Path.of("a", "b")).build(SVC)
    assert identify(request()) == Path.of("svc", "a", "b")


def test_the_first_that_has_a_name_decides() -> None:
    identify = first_of(
        [
            HeaderTokenConfig(header="x-a").build(SVC),
            HeaderTokenConfig(header="x-b").build(SVC),
            StaticIdentifierConfig(path=Path.of("last")).build(SVC),
        ]
    )
    assert identify(request(x_b=b"b")) == Path.of("svc", "b")
    assert identify(request()) == Path.of("svc", "last")


def test_without_any_name_the_last_reason_is_told() -> None:
    identify = first_of([HeaderTokenConfig().build(SVC), PathConfig(segments=2).build(SVC)])
    asked = request(b"/a?b")
    asked.peer = Peer()
    with pytest.raises(UnidentifiedRequest) as caught:
        identify(asked)
    assert str(caught.value) == (
        'Unknown destination: Request("GET /a?b", from /192.0.2.1:5000)'
        " / not enough segments in path"
    )


def test_a_list_without_identifiers_is_refused() -> None:
    with pytest.raises(ValueError, match="empty identifier list"):
        first_of([])


def test_remembered_names_are_bounded() -> None:
    identify = HeaderTokenConfig().build(SVC)
    for number in range(3000):
        identify(request(Host=b"h%d" % number))
    assert identify._name.cache_info().currsize == 1000
