"""Heads of new values are what they would be if each were judged as a whole."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshproxy.h2.fields import (
    RequestHead,
    request_head,
    response_head,
    trailers,
)
from meshproxy.h2.plan import Plan
from meshproxy.h2.section import FieldSection, Shape
from meshproxy.h2.split import MalformedSection
from meshproxy.h2.static_table import Field

HEAD = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"web"), (b":path", b"/"))
OTHERS = st.sampled_from(
    [b"x-a", b"x-b", b"cookie", b"content-length", b"te", b"host", b":path", b":method"]
)
SOUND = {b":path": b"/", b"content-length": b"1", b"te": b"trailers", b"host": b"web"}
VALUES = st.sampled_from(
    [
        b"/a?b",
        b"7",
        b"trailers",
        b"web",
        b"GET",
        b" a",
        b"a\t",
        b"a b",
        b"a\tb",
        b"\0",
        b"a\nb",
        b"\xe4",
        b"",
    ]
)


def pieces(fields: tuple[Field, ...], holes: tuple[int, ...]) -> tuple[Shape, list[bytes]]:
    shown = tuple((name, b"" if at in holes else value) for at, (name, value) in enumerate(fields))
    shape = Shape(shown, holes)
    shape.recurs = True
    return shape, [fields[at][1] for at in holes]


def judged(section: FieldSection, *, is_request: bool) -> object:
    try:
        return request_head(section) if is_request else response_head(section)
    except MalformedSection:
        return None


@given(
    st.lists(OTHERS, max_size=4),
    st.lists(VALUES, min_size=9, max_size=9),
    st.frozensets(st.integers(0, 8)),
    st.booleans(),
)
@example(
    [b"x-a", b"content-length"],
    [b"GET", b"http", b"web", b"/a?b", b"v", b"7", *[b""] * 3],
    frozenset({3, 4, 5}),
    True,
)
@example([b"x-a"], [b"GET", b"http", b"web", b"/a?b", *[b" v"] * 5], frozenset({3, 4}), True)
@example([b"x-a"], [b"GET", b"http", b"web", b"/a?b", *[b"v\t"] * 5], frozenset({3, 4}), True)
@example([], [b"GET", b"http", b"web", b"x", *[b""] * 5], frozenset({3}), True)
def test_a_head_by_plan_is_that_of_the_whole(
    others: list[bytes], new: list[bytes], holes: frozenset[int], is_request: bool
) -> None:
    start = HEAD if is_request else ((b":status", b"200"),)
    first = (*start, *((name, SOUND.get(name, b"v")) for name in others))
    at_holes = tuple(sorted(at for at in holes if at < len(first)))
    shape, values = pieces(first, at_holes)
    judged(FieldSection(shape, values), is_request=is_request)
    second = tuple(
        (name, new[at] if at in at_holes else value) for at, (name, value) in enumerate(first)
    )
    again = FieldSection(shape, pieces(second, at_holes)[1])
    found = judged(again, is_request=is_request)
    assert found == judged(FieldSection(Shape(second), []), is_request=is_request)
    assert again.head is found


def test_new_values_come_into_their_places() -> None:
    fields = (*HEAD, (b"x-a", b"1"), (b"x-b", b"2"), (b"x-c", b"3"), (b"content-length", b"4"))
    shape, values = pieces(fields, (3, 4, 6, 7))
    first = request_head(FieldSection(shape, values))
    assert isinstance(shape.plan, Plan)
    head = request_head(FieldSection(shape, [b"/new", b"one", b"three", b"5"]))
    assert (head.path, head.length, head.authority) == (b"/new", 5, b"web")
    assert head.names is first.names
    assert head.lines == (
        b"host: web", b"x-a: one", b"x-b: 2", b"x-c: three", b"content-length: 5",
    )  # fmt: skip


def test_a_new_path_leaves_the_lines_as_they_are() -> None:
    shape, values = pieces(HEAD, (3,))
    first = request_head(FieldSection(shape, values))
    again = request_head(FieldSection(shape, [b"/other"]))
    assert isinstance(again, RequestHead)
    assert again.lines == first.lines == (b"host: web",)
    with pytest.raises(MalformedSection, match=":path"):
        request_head(FieldSection(shape, [b"other"]))


def test_new_values_of_trailers_come_into_their_places() -> None:
    fields = ((b"grpc-status", b"0"), (b"grpc-message", b"a"))
    shape, values = pieces(fields, (1,))
    trailers(FieldSection(shape, values))
    again = FieldSection(shape, [b"b c"])
    assert trailers(again).lines == [b"grpc-status: 0", b"grpc-message: b c"]
    assert again.trailers is not None
    with pytest.raises(MalformedSection):
        trailers(FieldSection(shape, [b"b\n"]))


def test_trailers_that_leave_fields_out_are_judged_each_time() -> None:
    shape, _ = pieces(((b"content-type", b"a"), (b"x-a", b"1")), (1,))
    for value in (b"1", b"2"):
        assert trailers(FieldSection(shape, [value])).lines == [b"x-a: " + value]


def test_what_trailers_were_made_of_is_no_head() -> None:
    shape, values = pieces(((b"x-a", b"1"), (b"x-b", b"2")), (1,))
    for new in (values, [b"3"]):
        trailers(FieldSection(shape, new))
        for judge in (request_head, response_head):
            with pytest.raises(MalformedSection):
                judge(FieldSection(shape, new))


def test_values_that_are_known_to_be_sound_are_not_judged_again() -> None:
    shape, values = pieces((*HEAD, (b"x-a", b"1")), (3, 4))
    request_head(FieldSection(shape, values))
    head = request_head(FieldSection(shape, [b"/b", b"\xe4 c"], are_sound=True))
    assert (head.path, head.lines[1]) == (b"/b", b"x-a: \xe4 c")
    with pytest.raises(MalformedSection, match=":path"):
        request_head(FieldSection(shape, [b"/b c", b"2"], are_sound=True))


@pytest.mark.parametrize(
    "more",
    [
        [(b"te", b"trailers")],
        [(b"host", b"web")],
        [(b"cookie", b"a=b"), (b"cookie", b"c=d")],
        [(b"content-length", b"1"), (b"content-length", b"1")],
    ],
)
def test_values_that_say_more_than_themselves_are_judged_each_time(more: list[Field]) -> None:
    fields = (*HEAD, *more)
    shape, values = pieces(fields, tuple(range(len(HEAD), len(fields))))
    request_head(FieldSection(shape, values))
    assert shape.plan is None
