import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.k8s.decoding import Lines, load, page_of
from meshproxy.discovery.k8s.objects import Malformed

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(
    items=st.lists(values),
    rest=st.dictionaries(st.text().filter(lambda key: key != "items"), values),
    indent=st.sampled_from([None, 2]),
)
def test_a_page_is_what_json_makes_of_it(
    items: list[object], rest: dict[str, object], indent: int | None
) -> None:
    page = json.dumps({**rest, "items": items}, indent=indent).encode()
    steps = list(page_of(page))
    assert [value for key, value in steps if key == "item"][: len(items)] == items
    assert {key: value for key, value in steps if key != "item"} == {
        key: value for key, value in rest.items() if key != "item"
    }


def test_items_that_are_no_list_are_a_plain_key() -> None:
    assert list(page_of(b'{"items": null}')) == [("items", None)]


@pytest.mark.parametrize(
    "page",
    [
        b"", b"[]", b"null", b"{", b'{"items": [', b'{"items": [1', b'{"items": [1 2]}',
        b'{"a" 1}', b'{"a": 1} x', b'{"a": 1,}', b"<html>", b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 100_000,
    ],
    ids=lambda page: repr(page[:12]),
)  # fmt: skip
def test_anything_else_is_refused(page: bytes) -> None:
    with pytest.raises(Malformed):
        list(page_of(page))


@pytest.mark.parametrize("line", [b"", b"{", b"nonsense", b"\xff", b"[" * 100_000])
def test_a_line_that_is_not_json_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        load(line)


@given(
    lines=st.lists(st.binary(min_size=1).filter(lambda b: b"\n" not in b and b.strip())),
    data=st.data(),
)
def test_lines_come_out_whole_however_they_arrive(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    splitter = Lines()
    assert [line for piece in pieces for line in splitter.feed(piece)] == lines


def test_a_line_over_the_limit_is_refused_before_it_ends() -> None:
    splitter = Lines(limit=10)
    assert list(splitter.feed(b"0123456789\n01234")) == [b"0123456789"]
    with pytest.raises(Malformed, match="over 10 bytes"):
        list(splitter.feed(b"567890"))
