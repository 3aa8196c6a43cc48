import pytest

from meshproxy.config.nodes import Mapping, Scalar, Sequence, is_unset, join, locate
from meshproxy.config.places import Mark

PORT = Scalar(Mark(3, 11), "4140", 4140)
SERVER = Mapping(Mark(3, 5), {"port": PORT}, {"port": Mark(3, 5)})
ROOT = Mapping(Mark(1, 1), {"servers": Sequence(Mark(2, 1), [SERVER])}, {"servers": Mark(1, 1)})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", Mark(1, 1)),
        ("servers", Mark(1, 1)),
        ("servers[0]", Mark(3, 5)),
        ("servers[0].port", Mark(3, 5)),
        ("servers[0].tls.keyPath", Mark(3, 5)),
        ("servers[7].port", Mark(1, 1)),
        ("absent.port", Mark(1, 1)),
    ],
)
def test_a_path_is_located_or_the_nearest_thing_above_it(path: str, expected: Mark) -> None:
    assert locate(ROOT, path) == expected


def test_absent_null_and_empty_are_unset() -> None:
    here = Mark(1, 1)
    assert is_unset(None)
    assert is_unset(Scalar(here, "~", None))
    assert is_unset(Scalar(here, "", ""))
    assert not is_unset(Scalar(here, "false", False))
    assert not is_unset(Scalar(here, "0", 0))
    assert not is_unset(Sequence(here))


def test_joined_names_are_separated_by_dots() -> None:
    assert join("", "admin") == "admin"
    assert join("routers[0]", "label") == "routers[0].label"
