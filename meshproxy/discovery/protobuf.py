"""The wire format of Protocol Buffers, as far as the messages of namerd's mesh need it.

https://protobuf.dev/programming-guides/encoding/. A message is a series of fields, each with a tag:
its number times 8, plus its wire type. A field of an unexpected type has a tag that nobody asks
for, so it counts as unknown, as the format demands.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, TypeAlias

from meshproxy.discovery.watching.decoding import Malformed

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
FIXED32: Final = 5

Value: TypeAlias = int | bytes
"""A number from 0 up to 2**64 for VARINT; for other types the bytes."""

_SIZES: Final = {FIXED64: 8, FIXED32: 4}
_MAX_VARINT: Final = 10
_TAGS: Final = range(8, 2**32)
_double: Final = Struct("<d")


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Yields the tag and the value of each field, in order.

    Raises `Malformed` for what is cut short, and for groups, which proto3 does not have.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if tag not in _TAGS:
            raise Malformed(f"protobuf: a tag of {tag}")
        if kind == VARINT:
            number, at = _varint(data, at)
            yield tag, number
            continue
        if kind == LENGTH:
            size, at = _varint(data, at)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise Malformed(f"protobuf: a field of wire type {kind}")
        if size > end - at:
            raise Malformed("protobuf: a field is cut short")
        yield tag, data[at : at + size]
        at += size


def tag_of(number: int, kind: int = LENGTH) -> int:
    """Returns the tag of field *number* with the wire type *kind*."""
    return number << 3 | kind


def values(data: bytes, number: int, kind: int = LENGTH) -> list[bytes]:
    """Returns every value of field *number*, of any wire type but VARINT. Raises `Malformed`."""
    wanted = tag_of(number, kind)
    return [value for tag, value in fields(data) if tag == wanted and isinstance(value, bytes)]


def value_of(data: bytes, number: int, kind: int = LENGTH) -> bytes | None:
    """Returns the last of them, which is the one that counts; None if there is none."""
    found = values(data, number, kind)
    return found[-1] if found else None


def one_of(data: bytes, numbers: range) -> tuple[int, bytes]:
    """Returns number and value of the `oneof` that these fields of type LENGTH make.

    The last that came counts; `(0, b"")` if none did. Raises `Malformed`.
    """
    found = 0, b""
    for tag, value in fields(data):
        if tag & 7 == LENGTH and tag >> 3 in numbers and isinstance(value, bytes):
            found = tag >> 3, value
    return found


def text(value: bytes | None) -> str:
    """Returns the value of a string, empty for None. Raises `Malformed` if it is not UTF-8."""
    try:
        return (value or b"").decode()
    except UnicodeDecodeError as error:
        raise Malformed("protobuf: a string is not UTF-8") from error


def double(value: bytes | None) -> float:
    """Returns the value of a double, 0 for None."""
    found: float = _double.unpack(value)[0] if value else 0.0
    return found


def member(number: int, *parts: bytes) -> bytes:
    """Returns field *number* of type LENGTH: a string, bytes, or a message with these fields."""
    value = b"".join(parts)
    return _written(tag_of(number)) + _written(len(value)) + value


def double_member(number: int, value: float) -> bytes:
    """Returns field *number*, a double."""
    return _written(tag_of(number, FIXED64)) + _double.pack(value)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Returns a number and where it ends; bits above the 64th are dropped."""
    number = 0
    for shift, byte in enumerate(data[at : at + _MAX_VARINT]):
        number |= (byte & 127) << 7 * shift
        if byte < 128:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at + shift + 1
    raise Malformed("protobuf: a number does not end")


def _written(number: int) -> bytes:
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)
