"""Names from the first segments of the target."""

import pytest

from meshproxy.errors import UnidentifiedRequest
from meshproxy.identifiers.identifier import Declined, first_of
from meshproxy.identifiers.path import PathConfig
from meshproxy.naming.path import Path
from tests.kit.asked import request

SVC = Path.of("svc")


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
