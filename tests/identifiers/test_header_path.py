"""Names from the path of a request, or from one in a header."""

import pytest

from meshproxy.identifiers.header_path import HeaderPathConfig
from meshproxy.identifiers.identifier import Declined
from meshproxy.naming.path import Path
from tests.kit.asked import request

SVC = Path.of("svc")


@pytest.mark.parametrize(
    ("target", "segments", "name"),
    [
        (b"/true/love/waits.php?thing=1", 2, "/svc/true/love"),
        (b"/pkg.Greeter/SayHello", None, "/svc/pkg.Greeter/SayHello"),
        (b"/pkg.Greeter/SayHello/", None, "/svc/pkg.Greeter/SayHello"),
        (b"/a?x=/b/c", None, "/svc/a"),
        (b"/a/b", 1, "/svc/a"),
    ],
)
def test_the_path_names_the_request(target: bytes, segments: int | None, name: str) -> None:
    asked = request(target)
    assert HeaderPathConfig(segments=segments).build(SVC)(asked) == Path.parse(name)
    assert asked.target == target


@pytest.mark.parametrize("target", [b"/", b"/a", b"/a/", b"", b"/a//b", b"/a?x=/b"])
def test_too_few_segments_and_empty_ones_name_nothing(target: bytes) -> None:
    identify = HeaderPathConfig(segments=2).build(SVC)
    assert identify(request(target)) == Declined("not enough segments in :path")


def test_a_header_can_have_the_path() -> None:
    identify = HeaderPathConfig(header="X-Route", segments=1).build(SVC)
    assert identify(request(x_route=b"/a/b")) == Path.of("svc", "a")
    assert identify(request(b"/a")) == Declined("not enough segments in X-Route")


def test_the_authority_is_host() -> None:
    assert HeaderPathConfig(header=":authority").build(SVC)(request(host=b"a/b")) == Path.parse(
        "/svc/a/b"
    )


@pytest.mark.parametrize(("header", "is_refused"), [(":PATH", False), (":method", True)])
def test_other_pseudo_headers_are_refused(header: str, is_refused: bool) -> None:
    problems = [problem.key for problem in HeaderPathConfig(header=header).check()]
    assert problems == (["header"] if is_refused else [])
