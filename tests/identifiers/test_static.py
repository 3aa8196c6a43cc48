"""One name for all."""

from meshproxy.identifiers.static import StaticIdentifierConfig
from meshproxy.naming.path import Path
from tests.kit.asked import request

SVC = Path.of("svc")


def test_static_is_the_same_for_every_request() -> None:
    identify = StaticIdentifierConfig(path=Path.of("a", "b")).build(SVC)
    assert identify(request()) == Path.of("svc", "a", "b")
