"""The headers of the mesh: tables in, errors out."""

from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.errors import BadDtabHeader
from meshproxy.http import l5d
from meshproxy.http.headers import of


def test_the_dtabs_of_a_request_are_joined_and_taken_out() -> None:
    headers = of(
        (b"l5d-dtab", b"/a => /own"),
        (b"X", b"stays"),
        (b"L5d-Ctx-Dtab", b"/a => /context"),
        (b"l5d-dtab", b"/b => /c"),
    )
    dtab = l5d.take_dtab(headers)
    assert dtab is not None
    assert dtab.show() == "/a=>/context;/a=>/own;/b=>/c"
    assert headers.lines == [b"X: stays"]
    assert all(entry.by_request for entry in dtab)


@pytest.mark.parametrize("value", [b"", b"  "])
def test_no_entry_is_no_dtab(value: bytes) -> None:
    assert l5d.take_dtab(of((b"l5d-dtab", value))) is None
    assert l5d.take_dtab(of()) is None


def test_a_plain_dtab_local_is_not_honoured() -> None:
    headers = of((b"dtab-local", b"/a => /b"))
    assert l5d.take_dtab(headers) is None
    assert b"dtab-local" in headers


@pytest.mark.parametrize(
    "values",
    [
        [b"nonsense"],
        [b"/a=>" + b"(" * 100 + b"/b" + b")" * 100],
        [b";".join([b"/a=>/b"] * 257)],
        [b";".join([b"/a=>/b"] * 200)] * 2,
        [b"/a=>/\xe9"],
    ],
)
def test_a_dtab_that_is_none_or_too_large_is_refused(values: list[bytes]) -> None:
    with pytest.raises(BadDtabHeader):
        l5d.take_dtab(of(*((b"l5d-dtab", value) for value in values)))


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        ("no hosts", b"no+hosts"),
        ("/a => b*~", b"%2Fa+%3D%3E+b*%7E"),
        ("caf\xe9 \u20ac", b"caf%E9+%3F"),
        ("a\r\nX: y\0", b"a%0D%0AX%3A+y%00"),
    ],
)
def test_an_error_is_form_encoded(message: str, encoded: bytes) -> None:
    assert l5d.encode_error(message, 8192) == encoded


@given(st.text(max_size=60), st.integers(0, 80))
def test_an_encoded_error_is_cut_between_its_characters(message: str, limit: int) -> None:
    encoded = l5d.encode_error(message, limit)
    assert len(encoded) <= limit
    of((l5d.ERR, encoded))
    whole = message.encode("latin-1", "replace").decode("latin-1")
    assert whole.startswith(unquote_plus(encoded.decode(), "latin-1"))


@pytest.mark.parametrize(
    ("message", "limit", "encoded"),
    [
        pytest.param("one two three", 12, b"one+two", id="after a word"),
        pytest.param("one\ntwo-three", 12, b"one", id="after a line"),
        pytest.param("one,two,three", 11, b"one%2Ctwo", id="no word ends"),
        pytest.param("a " + "b" * 200, 150, b"a+" + b"b" * 148, id="none ends near"),
        pytest.param("one two", 7, b"one+two", id="nothing to cut"),
    ],
)
def test_a_cut_error_ends_after_a_word(message: str, limit: int, encoded: bytes) -> None:
    assert l5d.encode_error(message, limit) == encoded


def test_an_error_is_never_longer_than_a_kilobyte() -> None:
    addresses = ", ".join(f"10.0.0.{number}:8080" for number in range(256))
    encoded = l5d.encode_error(f"addresses: [{addresses}]", 8192)
    assert 900 < len(encoded) <= 1024
    assert encoded.endswith(b"%3A8080%2C")
