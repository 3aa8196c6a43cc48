import json
from collections.abc import Iterator

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.watching.decoding import (
    ITEM,
    Lines,
    Malformed,
    ObjectReader,
    in_steps,
    items,
    load,
    member,
    read_list,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
others = st.dictionaries(st.text().filter(lambda key: key not in ("apps", ITEM)), values)
indents = st.sampled_from([None, 2])


def split(data: bytes, *path: str) -> tuple[list[object], dict[str, object]]:
    """Return the items and the other members."""
    found = list(items(data, *path))
    listed = [value for key, value in found if key == ITEM]
    return listed, {key: value for key, value in found if key != ITEM}


@given(listed=st.lists(values), indent=indents)
def test_a_list_comes_item_by_item(listed: list[object], indent: int | None) -> None:
    assert split(json.dumps(listed, indent=indent).encode()) == (listed, {})


@given(listed=st.lists(values), rest=others, indent=indents)
def test_a_list_in_an_object_comes_with_the_other_members(
    listed: list[object], rest: dict[str, object], indent: int | None
) -> None:
    data = json.dumps({**rest, "apps": listed}, indent=indent).encode()
    assert split(data, "apps") == (listed, {**rest, "apps": []})


@given(listed=st.lists(values), rest=others, inner=others)
def test_a_list_further_down_comes_with_the_members_on_the_way(
    listed: list[object], rest: dict[str, object], inner: dict[str, object]
) -> None:
    data = json.dumps({**rest, "apps": {**inner, "tasks": listed}}).encode()
    found, members = split(data, "apps", "tasks")
    assert found == listed
    assert members["tasks"] == []
    assert members.keys() == {*rest, *inner, "tasks"}


@pytest.mark.parametrize("data", [b'{"apps": null}', b'{"apps": {"a": 1}}', b"{}"])
def test_what_is_no_list_is_not_there(data: bytes) -> None:
    found, members = split(data, "apps")
    assert found == []
    assert members.get("apps") != []


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"null", b"{", b'{"apps": [', b'{"apps": [1', b'{"apps": [1 2]}',
        b'{"a" 1}', b'{"a": 1} x', b'{"a": 1,}', b"<html>", b'{"a": "\xff"}',
        b'{"a": ' + b"[" * 100_000, b" " * 100_000,
    ],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(items(data, "apps"))


def test_a_list_is_read_and_what_is_beside_it() -> None:
    data = b'{"total": 3, "app": {"id": "/a", "tasks": [1, 2, 3]}}'
    odd, others = read_list(data, lambda item: item if item % 2 else None, "app", "tasks")
    assert odd == [1, 3]
    assert (others["total"], others["id"]) == (3, "/a")
    assert read_list(b"[1]", str) == (["1"], {})


@pytest.mark.parametrize("data", [b"{}", b'{"tasks": null}', b'{"tasks": {}}', b'{"tasks": 1}'])
def test_a_list_that_is_not_there_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed, match="no list at tasks"):
        read_list(data, str, "tasks")


@pytest.mark.parametrize(
    ("value", "expected"),
    [({"a": {"b": 1}}, 1), ({"a": {}}, None), ({"a": [1]}, None), (None, None), ("a", None)],
)
def test_a_member_of_a_member_is_found(value: object, expected: object) -> None:
    assert member(value, "a", "b") == expected


@pytest.mark.parametrize("line", [b"", b"{", b"nonsense", b"\xff", b"[" * 100_000])
def test_a_text_that_is_not_json_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        load(line)


def test_others_run_in_between() -> None:
    turns: list[str] = []

    def work() -> Iterator[int]:
        for number in range(3):
            end = gevent.get_hub().loop.now() + 0.012
            while gevent.get_hub().loop.now() < end:
                gevent.get_hub().loop.update_now()
            yield number

    def rest(_seconds: float) -> None:
        turns.append("rest")

    assert list(in_steps(work(), rest)) == [0, 1, 2]
    assert turns


@given(
    lines=st.lists(st.binary(min_size=1).filter(lambda b: b"\n" not in b and b.strip() == b)),
    data=st.data(),
)
def test_lines_come_out_whole_however_they_arrive(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    splitter = Lines()
    assert [line for piece in pieces for line in splitter.feed(piece)] == lines
    assert splitter.is_between


def test_what_has_no_end_yet_can_be_taken() -> None:
    splitter = Lines()
    assert list(splitter.feed(b"one\ntw")) == [b"one"]
    assert not splitter.is_between
    assert splitter.take_rest() == b"tw"
    assert splitter.is_between


def test_a_line_over_the_limit_is_refused_before_it_ends() -> None:
    splitter = Lines(limit=10)
    assert list(splitter.feed(b"0123456789\n01234")) == [b"0123456789"]
    with pytest.raises(Malformed, match="over 10 bytes"):
        list(splitter.feed(b"567890"))


# --- objects of one list after another ---

objects = st.fixed_dictionaries({"id": st.integers(0, 30)}, optional={"more": values})


@given(lists=st.lists(st.lists(objects, max_size=30), max_size=5), indent=indents)
def test_each_list_is_read_as_if_it_were_the_first(
    lists: list[list[dict[str, object]]], indent: int | None
) -> None:
    reader: ObjectReader[object] = ObjectReader(lambda sent: sent)
    for each in lists:
        assert list(reader.items(json.dumps(each, indent=indent).encode())) == each


def changed(numbers: list[object], kind: str) -> list[object]:
    return {
        "the same": numbers,
        "one replaced": [*numbers[:500], "new", *numbers[501:]],
        "one more": [*numbers[:500], "new", *numbers[500:]],
        "the first gone": numbers[1:],
        "five gone": [*numbers[:500], *numbers[505:]],
        "many in a row replaced": [*numbers[:500], *map(str, range(100)), *numbers[600:]],
        "some here and there": [f"new {n}" if n % 90 == 0 else n for n in range(1000)],
    }[kind]


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ("the same", 0),
        ("one replaced", 1),
        ("one more", 1),
        ("the first gone", 0),
        ("five gone", 0),
        ("many in a row replaced", 100),
        ("some here and there", 12),
    ],
)
def test_only_objects_with_another_text_are_decoded(kind: str, most: int) -> None:
    before: list[object] = list(range(1000))
    read: list[object] = []
    reader = ObjectReader(lambda sent: read.append(sent["id"]) or sent["id"])  # type: ignore[func-returns-value]
    list(reader.items(json.dumps([{"id": one} for one in before]).encode()))
    read.clear()
    after = changed(before, kind)
    assert list(reader.items(json.dumps([{"id": one} for one in after]).encode())) == after
    assert len(read) == most


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"{}", b"[1]", b"[[]]", b'[{"a": 1}', b'[{"a": 1},]', b"[] []", b"\xff", b"[{]"],
)
def test_what_is_no_list_of_objects_is_malformed_and_changes_nothing(data: bytes) -> None:
    reads: list[object] = []
    reader: ObjectReader[None] = ObjectReader(reads.append)
    list(reader.items(b'[{"a": 1}]'))
    with pytest.raises(Malformed):
        list(reader.items(data))
    count = len(reads)
    list(reader.items(b'[{"a": 1}]'))
    assert len(reads) == count
