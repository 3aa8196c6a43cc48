"""Secrets are read from files, and no error shows one."""

from pathlib import Path

import pytest

from meshproxy.config.secrets import (
    MOST_BYTES,
    basic_credentials,
    header_value,
    why_no_credentials,
    why_no_value,
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"s3cret", b"s3cret"),
        (b"s3cret\n", b"s3cret"),
        (b"s3cret\r\n", b"s3cret"),
        (b"two words", b"two words"),
        (b"\xc3\xbc", b"\xc3\xbc"),
        (b"x" * MOST_BYTES + b"\n", b"x" * MOST_BYTES),
    ],
)
def test_the_value_is_the_file_without_a_final_newline(
    tmp_path: Path, written: bytes, value: bytes
) -> None:
    file = tmp_path / "key"
    file.write_bytes(written)
    assert header_value(str(file)).value == value
    assert why_no_value(str(file)) is None


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"  \n", "is empty"),
        (b"hush\n\n", "control character in byte 5"),
        (b"hush\tx", "control character in byte 5"),
        (b"hush\r\nX-Evil: 1", "control character in byte 5"),
        (b"hush\x00", "control character in byte 5"),
        (b"hush" * MOST_BYTES, "more than 8192 bytes"),
    ],
)
def test_what_cannot_be_a_value_is_refused_without_showing_it(
    tmp_path: Path, written: bytes, why: str
) -> None:
    file = tmp_path / "key"
    file.write_bytes(written)
    found = why_no_value(str(file)) or ""
    assert why in found
    assert str(file) in found
    assert "hush" not in found
    with pytest.raises(ValueError, match=why):
        header_value(str(file))


def test_credentials_are_sent_as_basic(tmp_path: Path) -> None:
    file = tmp_path / "parent"
    file.write_text("Aladdin:open sesame\n")
    assert basic_credentials(str(file)).value == b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert why_no_credentials(str(file)) is None
    for written in ("hush", ":hush", ""):
        file.write_text(written)
        found = why_no_credentials(str(file)) or ""
        assert found
        assert "hush" not in found


def test_no_file_is_no_problem_of_its_content(tmp_path: Path) -> None:
    assert why_no_value(str(tmp_path / "gone")) is None
    with pytest.raises(FileNotFoundError):
        header_value(str(tmp_path))
