"""Paths as tuples and as texts."""

import pytest
from hypothesis import given

from meshproxy.naming.parser import ParseError
from meshproxy.naming.path import Path, show_segment
from tests.naming.strategies import paths


@given(paths)
def test_the_shown_text_parses_to_the_same_path(path: Path) -> None:
    assert Path.parse(path.show()) == path


@given(paths, paths)
def test_joined_paths_come_apart_again(first: Path, second: Path) -> None:
    joined = first + second
    assert type(joined) is Path
    assert joined.starts_with(first)
    assert joined.take(len(first)) == first
    assert joined.drop(len(first)) == second


def test_a_path_is_a_tuple_and_hashes_as_one() -> None:
    path = Path.of("svc", b"web")
    clients: dict[tuple[bytes, ...], int] = {(b"svc", b"web"): 1}
    assert clients[path] == 1
    assert {path: 1}[Path.parse("/svc/web")] == 1


def test_text_segments_are_utf_8() -> None:
    assert Path.of("é") == (b"\xc3\xa9",)


@pytest.mark.parametrize("segments", [(b"",), (b"a", b"", b"b")])
def test_an_empty_segment_is_refused(segments: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Path(segments)
    with pytest.raises(ValueError, match="must not be empty"):
        Path.of("a") + segments


def test_adding_plain_segments_gives_a_path() -> None:
    assert (Path.of("a") + (b"b",)).show() == "/a/b"  # noqa: RUF005 - this is the operator


@pytest.mark.parametrize(
    ("prefix", "is_one"),
    [
        ((), True),
        ((b"a",), True),
        ((b"a", b"b"), True),
        ((b"a", b"b", b"c"), False),
        ((b"b",), False),
    ],
)
def test_a_prefix_is_whole_segments(prefix: tuple[bytes, ...], is_one: bool) -> None:
    assert Path.of("a", "b").starts_with(prefix) is is_one


def test_take_and_drop_go_no_further_than_the_end() -> None:
    path = Path.of("a", "b")
    assert path.take(5) == path
    assert path.drop(5) == Path()
    assert path.drop(0) is path
    assert (type(path.take(1)), type(path.drop(1))) == (Path, Path)


@pytest.mark.parametrize(
    ("segment", "shown"),
    [
        (b"linkerd.io:443", "linkerd.io:443"),
        (b"_:.#$%-", "_:.#$%-"),
        (b"a b", r"\x61\x20\x62"),
        (b"a\n", r"\x61\x0a"),
        (b"\xff", r"\xff"),
    ],
)
def test_a_segment_with_an_unusual_byte_is_escaped_as_a_whole(segment: bytes, shown: str) -> None:
    assert show_segment(segment) == shown


def test_the_representation_shows_the_path() -> None:
    assert repr(Path.of("a", "b")) == "Path('/a/b')"
    assert repr(Path()) == "Path('/')"


def test_equality_is_on_bytes_and_case() -> None:
    assert Path.parse(r"/\x61") == Path.parse("/a") != Path.parse("/A")


def test_a_text_that_is_no_path_is_refused() -> None:
    with pytest.raises(ParseError):
        Path.parse("/a b")
