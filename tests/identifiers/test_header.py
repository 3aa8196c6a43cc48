"""Names from the value of a header."""

import pytest

from meshproxy.errors import BadRequest, UnidentifiedRequest
from meshproxy.identifiers.header import HeaderConfig, HeaderTokenConfig
from meshproxy.identifiers.identifier import Declined, first_of
from meshproxy.identifiers.method_and_host import MethodAndHostConfig
from meshproxy.identifiers.static import StaticIdentifierConfig
from meshproxy.naming.path import Path
from tests.kit.asked import request

SVC = Path.of("svc")


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


def test_remembered_names_are_bounded() -> None:
    identify = HeaderTokenConfig().build(SVC)
    for number in range(3000):
        identify(request(Host=b"h%d" % number))
    assert identify._name.cache_info().currsize == 1000


def test_the_authority_is_host() -> None:
    identify = HeaderTokenConfig(header=":authority").build(SVC)
    assert identify(request(host=b"web:80")) == Path.of("svc", "web:80")


@pytest.mark.parametrize(("header", "is_refused"), [(":Authority", False), (":path", True)])
def test_other_pseudo_headers_are_refused(header: str, is_refused: bool) -> None:
    problems = [problem.key for problem in HeaderTokenConfig(header=header).check()]
    assert problems == (["header"] if is_refused else [])
