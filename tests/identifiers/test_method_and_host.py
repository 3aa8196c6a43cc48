"""Names from the method and the host."""

import pytest

from meshproxy.http.message import Request
from meshproxy.identifiers.identifier import Declined
from meshproxy.identifiers.method_and_host import MethodAndHostConfig
from meshproxy.naming.path import Path
from tests.kit.asked import request

SVC = Path.of("svc")


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
