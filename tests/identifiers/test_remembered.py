"""Names that were asked for before."""

from meshproxy.identifiers.remembered import REMEMBERED, names
from meshproxy.naming.path import Path


def test_a_name_is_the_same_object_again_and_the_latest_are_kept() -> None:
    name = names(Path.of("svc"))
    assert name(b"a", b"b") == Path.of("svc", "a", "b")
    assert name(b"a", b"b") is name(b"a", b"b")
    first = name(b"a")
    for number in range(REMEMBERED):
        name(b"%d" % number)
    assert name(b"a") is not first
