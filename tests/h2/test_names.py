"""Heads whose names are known are what they would be if each were judged as a whole."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshproxy.h2 import fields, names
from meshproxy.h2.fields import request_head, response_head
from meshproxy.h2.section import FieldSection, Shape
from meshproxy.h2.split import MalformedSection
from meshproxy.h2.static_table import Field

HEAD = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"web"), (b":path", b"/"))
OTHERS = st.sampled_from([b"x-a", b"x-b", b"cookie", b"content-length", b"te", b"host", b":path"])
SOUND = {b":path": b"/", b"content-length": b"1", b"te": b"trailers", b"host": b"web"}
METHODS = st.sampled_from([b"POST", b"CONNECT", b"OPTIONS", b"PURGE", b"G T", b"", b"200"])
SCHEMES = st.sampled_from([b"https", b"HTTP", b"x+y", b"h ttp", b""])
AUTHORITIES = st.sampled_from([b"web:80", b"", b"a@b", b"w b", b"web2"])
PATHS = st.sampled_from([b"/a?b", b"*", b"", b"/a#b", b"/a b", b"a", b"/\xe4"])
VALUES = st.sampled_from(
    [b"7", b"web", b"trailers", b" a", b"a\t", b"a b", b"a\tb", b"a\nb", b"\0"]
)


def section(head: tuple[Field, ...]) -> FieldSection:
    return FieldSection(Shape(head), [])


def judged(head: tuple[Field, ...]) -> object:
    try:
        return fields._judged(section(head))
    except MalformedSection:
        return None


def found(head: tuple[Field, ...]) -> object:
    try:
        return request_head(section(head))
    except MalformedSection:
        return None


@given(
    st.permutations(HEAD),
    st.lists(OTHERS, max_size=3),
    st.tuples(METHODS, SCHEMES, AUTHORITIES, PATHS),
    st.lists(VALUES, min_size=3, max_size=3),
    st.integers(0, 3),
)
@example(list(HEAD), [b"x-a"], (b"POST", b"https", b"web2", b"/c"), [b"1", b"2", b"3"], 3)
@example(list(HEAD), [b"content-length"], (b"POST", b"https", b"web", b"/"), [b"a b", b"", b""], 3)
def test_a_head_of_known_names_is_that_of_the_whole(
    pseudo: list[Field], others: list[bytes], new: tuple[bytes, ...], values: list[bytes], at: int
) -> None:
    first = (*pseudo, *((name, SOUND.get(name, b"v")) for name in others))
    assert found(first) == judged(first)
    given_first = dict(zip([name for name, _ in HEAD], new, strict=True))
    for changed in ({}, given_first, {HEAD[at][0]: new[at]}):
        second = tuple((name, changed.get(name, value)) for name, value in pseudo)
        for each in (values, [SOUND.get(name, b"w") for name in others]):
            head = (*second, *zip(others, each, strict=False))
            assert found(head) == judged(head)


def test_usual_names_are_known_and_a_new_value_is_in_its_place() -> None:
    for number in range(3):
        fields = (*HEAD, (b"x-new-here", b"%d" % number), (b"content-length", b"%d" % number))
        head = request_head(section(fields))
        assert head.lines == (
            b"host: web", b"x-new-here: %d" % number, b"content-length: %d" % number,
        )  # fmt: skip
        assert head.length == number
        assert (names.requests.usual(section(fields)) or [None])[0] is not None


@pytest.mark.parametrize("value", [b" a", b"a\t", b"a\nb", b"\0"])
def test_values_of_known_names_are_judged(value: bytes) -> None:
    for sound in (b"1", b"2"):
        request_head(section((*HEAD, (b"x-judged", sound))))
    with pytest.raises(MalformedSection, match=r"x-judged|control character"):
        request_head(section((*HEAD, (b"x-judged", value))))


def test_names_of_a_request_are_none_of_a_response() -> None:
    request = ((b":method", b"200"), *HEAD[1:])
    request_head(section(request))
    with pytest.raises(MalformedSection):
        response_head(section(request))
    response = ((b":status", b"200"), (b"x-a", b"b"))
    for status in (b"200", b"404"):
        head = response_head(section(((b":status", status), *response[1:])))
        assert (head.status, head.lines) == (int(status), (b"x-a: b",))
    with pytest.raises(MalformedSection):
        request_head(section(response))
    for status in (b"101", b"2000"):
        with pytest.raises(MalformedSection, match=":status"):
            response_head(section(((b":status", status), *response[1:])))


@pytest.mark.parametrize(
    "more",
    [
        [(b"te", b"trailers")],
        [(b"host", b"web")],
        [(b"cookie", b"a=b"), (b"cookie", b"c=d")],
        [(b"content-length", b"1"), (b"content-length", b"1")],
        [(b"x" * 1100, b"1")],
    ],
)
def test_names_whose_values_say_more_are_not_kept(more: list[Field]) -> None:
    head = section((*HEAD, *more))
    request_head(head)
    assert names.requests.usual(head) is None


def test_names_are_bounded() -> None:
    for number in range(3000):
        request_head(section((*HEAD, (b"x-%d" % number, b"1"))))
        assert len(names.requests.known) <= 1024
