"""Every string of hpack's encoder is read, and every fault that hpack sees is refused."""

from collections.abc import Iterable
from itertools import permutations

import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import example, given
from hypothesis import strategies as st

from meshproxy.h2 import huffman
from meshproxy.h2.errors import H2ConnectionError
from meshproxy.http.headers import MASK

ENCODER = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


def test_the_codes_are_those_of_the_rfc() -> None:
    expected = list(zip(REQUEST_CODES_LENGTH, REQUEST_CODES, strict=True))
    assert huffman.canonical_codes() == expected


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("f1e3c2e5f23a6ba0ab90f4ff", b"www.example.com"),
        ("a8eb10649cbf", b"no-cache"),
        ("d07abe941054d444a8200595040b8166e082a62d1bff", b"Mon, 21 Oct 2013 20:13:21 GMT"),
        ("", b""),
    ],
)
def test_the_examples_of_the_rfc_are_read(raw: str, text: bytes) -> None:
    assert huffman.decode(bytes.fromhex(raw)) == text


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_is_read(byte: int) -> None:
    text = bytes([byte]) * 3 + b"a"
    assert huffman.decode(bytes(ENCODER.encode(text))) == text


@given(st.binary(max_size=80))
def test_what_hpack_encodes_is_read(text: bytes) -> None:
    assert huffman.decode(bytes(ENCODER.encode(text))) == text


@given(
    st.binary(max_size=16) | st.builds(lambda a, b: a + b"\xff" * b, st.binary(), st.integers(0, 5))
)
def test_any_bytes_get_the_verdict_of_hpack(raw: bytes) -> None:
    try:
        expected = bytes(decode_huffman(raw))
    except Exception:  # noqa: BLE001 - whatever hpack raises is its refusal
        expected = None
    try:
        got = huffman.decode(raw)
    except H2ConnectionError:
        got = None
    assert got == expected


CODED = st.binary(max_size=6) | st.sampled_from(
    [b"", b"x#", b"*#", b"x#\0", b"\0", b"a\0x#", b"\\", b"abc", b"\xff"]
).map(lambda text: bytes(ENCODER.encode(text)))


def coded_each(texts: Iterable[bytes]) -> list[bytes]:
    return [bytes(ENCODER.encode(text)) for text in texts]


def test_many_are_read_at_once_and_one_fault_refuses_all() -> None:
    ending = b"x#\0"  # what shows the end of a string to the fast way, and is none here
    texts = [b"a", b"", ending, b"|@\0" * 2, ending + b"\\", b"z" * 300]
    for count in range(1, len(texts) + 1):
        for coded in permutations(texts, count):
            assert huffman.decode_all(coded_each(coded))[0] == [*coded]


@given(st.lists(CODED, max_size=4))
def test_many_get_the_verdict_of_each(coded: list[bytes]) -> None:
    try:
        expected = [bytes(decode_huffman(raw)) for raw in coded]
    except Exception:  # noqa: BLE001 - whatever hpack raises is its refusal
        with pytest.raises(H2ConnectionError, match="Huffman"):
            huffman.decode_all(coded)
    else:
        assert huffman.decode_all(coded)[0] == expected


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=4))
@example([b"a", b" b"])
@example([b"a ", b"b"])
@example([b"a\0b"])
@example([b"a\tb"])
def test_texts_that_are_said_to_be_sound_are(texts: list[bytes]) -> None:
    if huffman.decode_all(coded_each(texts))[1]:
        for text in texts:
            assert text.translate(MASK) == text.strip()


def test_usual_texts_are_known_to_be_sound() -> None:
    assert huffman.decode_all(coded_each([b"/a?b=c", b"curl/8.1 (x; y)", b"01ef"]))[1]
    common = bytes(byte for byte in range(256) if huffman.LENGTHS[byte] <= 15)
    assert common.strip(b"\0").translate(MASK) == common.strip(b"\0"), "a control character"


@pytest.mark.parametrize("raw", [b"\xff\xff\xff\xff", b"\x1f\xff", b"\x00\x00", b"\xff"])
def test_eos_and_bad_padding_are_refused(raw: bytes) -> None:
    with pytest.raises(H2ConnectionError, match="Huffman"):
        huffman.decode(raw)


def test_a_fault_leaves_nothing_behind_for_the_next_string() -> None:
    for faulty in (b"\xff\xff\xff\xff", b"\x00", b"\xff", b"\x1f\xff\xff"):
        with pytest.raises(H2ConnectionError):
            huffman.decode_all([b"\x1f", faulty, b"\x1f"])
        assert huffman.decode_all([b"\x1f", b"\x1f"]) == ([b"a", b"a"], True)
