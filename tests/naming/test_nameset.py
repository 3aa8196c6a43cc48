"""Sets of names, held against the names in them."""

from hypothesis import given
from hypothesis import strategies as st

from meshproxy.naming.nameset import ANY_NAME, NameSet
from meshproxy.naming.path import Path

SEGMENTS = st.sampled_from([b"a", b"b"])
PATTERNS = st.lists(st.none() | SEGMENTS, max_size=3).map(tuple)
SETS = st.builds(NameSet, PATTERNS, st.booleans())
PATHS = [
    Path(path)
    for path in [
        (),
        *[(a,) for a in (b"a", b"b")],
        *[(a, b) for a in (b"a", b"b") for b in (b"a", b"b")],
        *[(a, b, c) for a in (b"a", b"b") for b in (b"a", b"b") for c in (b"a", b"b")],
        *[(a, b, a, b) for a in (b"a", b"b") for b in (b"a", b"b")],
        *[(a, a, a, b) for a in (b"a", b"b") for b in (b"a", b"b")],
    ]
]


def begins(path: Path, prefix: tuple[bytes | None, ...]) -> bool:
    return len(path) >= len(prefix) and all(
        elem in (None, segment) for elem, segment in zip(prefix, path, strict=False)
    )


def names(of: NameSet) -> list[Path]:
    """List those of the names that have at most four segments, and are among PATHS."""
    return [
        path
        for path in PATHS
        if begins(path, of.segments) and (of.is_open or len(path) == len(of.segments))
    ]


@given(SETS, PATTERNS)
def test_some_or_all_of_the_names_begin_with_a_prefix(known: NameSet, prefix: tuple[bytes]) -> None:
    found = [begins(path, prefix) for path in names(known)]
    assert known.meets(prefix) == any(found)
    assert known.is_under(prefix) == all(found)


@given(SETS, SETS)
def test_what_includes_another_has_all_its_names(one: NameSet, other: NameSet) -> None:
    assert one.includes(one)
    assert ANY_NAME.includes(one)
    if one.includes(other):
        assert set(names(other)) <= set(names(one))


@given(SETS, PATTERNS)
def test_what_is_within_a_prefix_begins_with_it(known: NameSet, prefix: tuple[bytes]) -> None:
    if known.meets(prefix):
        within = [path for path in names(known) if begins(path, prefix)]
        assert names(known.within(prefix)) == within


@given(SETS, st.integers(0, 3))
def test_names_are_cut_and_put_behind_others(known: NameSet, count: int) -> None:
    if count <= len(known.segments):
        rests = {path.drop(count) for path in names(known)}
        assert rests <= set(names(known.drop(count)))
    assert NameSet((b"a", *known.segments), known.is_open) == known.behind(Path.of("a"))


def test_it_is_shown() -> None:
    assert NameSet((b"svc", None)).show() == "/svc/*/..."
    assert NameSet((b"a b",), is_open=False).show() == r"/\x61\x20\x62"
    assert ANY_NAME.show() == "/..."
