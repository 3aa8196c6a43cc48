"""Protobuf read and written by hand, compared with Google's own library."""

import json
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.protobuf import (
    FIXED64,
    VARINT,
    double,
    double_member,
    fields,
    member,
    one_of,
    text,
    value_of,
    values,
)
from meshproxy.discovery.watching.decoding import Malformed
from tests.kit.mesh_messages import message, read, write

PORT = 3 << 3 | VARINT


@given(st.binary(max_size=300), st.integers(min_value=-(2**31), max_value=2**31 - 1))
def test_what_google_writes_is_read(address: bytes, port: int) -> None:
    sent = message("Endpoint")(address=address, port=port)
    found = dict(fields(sent.SerializeToString()))
    assert found.get(2 << 3 | 2, b"") == address
    assert found.get(PORT, 0) == port % 2**64


@given(st.lists(st.binary(min_size=1, max_size=200)), st.floats(allow_nan=False))
def test_what_is_written_google_reads(segments: list[bytes], weight: float) -> None:
    path = b"".join([member(1, segment) for segment in segments])
    wire = double_member(1, weight) + member(2, member(6, member(1, path)))
    sent = message("BoundNameTree").Union.Weighted.FromString(wire)
    assert list(sent.tree.leaf.id.elems) == segments
    assert sent.weight == weight
    assert values(path, 1) == segments
    assert double(value_of(wire, 1, FIXED64)) == weight


@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_google_reads_them_or_refused(wire: bytes) -> None:
    try:
        google = message("Path").FromString(wire)
    except DecodeError:
        google = None
    try:
        ours: Any = values(wire, 1)
    except Malformed:
        has_group = any(byte & 7 in (3, 4) for byte in wire)
        assert google is None or has_group
        return
    if google is not None:
        assert ours == list(google.elems)


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"\x0a\x05abc", "a field is cut short"),
        (b"\x0a", "a number does not end"),
        (b"\x0a" + b"\xff" * 11, "a number does not end"),
        (b"\x09abc", "a field is cut short"),
        (b"\x0d\x01\x02", "a field is cut short"),
        (b"\x0b", "a field of wire type 3"),
        (b"\x02\x00", "a tag of 2"),
        (b"\xff" * 6 + b"\x01\x00", "a tag of"),
    ],
)
def test_what_is_no_message_is_refused(wire: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        list(fields(wire))


def test_fields_of_another_type_and_unknown_ones_are_passed_over() -> None:
    wire = b"\x08\x07" + b"\x0d\x00\x00\x00\x00" + member(9, b"x") + member(1, b"y")
    assert values(wire, 1) == [b"y"]
    assert value_of(wire, 2) is None


def test_of_several_the_last_counts() -> None:
    wire = member(1) + member(4, b"a") + member(2) + member(4, b"b") + b"\x18\x01"
    assert value_of(wire, 4) == b"b"
    assert one_of(wire, range(1, 5)) == (4, b"b")
    assert one_of(wire, range(1, 3)) == (2, b"")
    assert one_of(b"", range(1, 3)) == (0, b"")


def test_a_string_is_utf_8() -> None:
    assert text("é".encode()) == "é"
    assert text(None) == ""
    with pytest.raises(Malformed, match="not UTF-8"):
        text(b"\xff")


def test_the_kit_reads_what_it_writes() -> None:
    said = {"pending": {}}
    assert read("Replicas", write("Replicas", said)) == said
    assert json.loads(json_format.MessageToJson(message("Replicas")())) == {}
