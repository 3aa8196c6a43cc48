"""HPACK's integers (RFC 7541 section 5.1): the low bits of a first byte, then seven bits a byte."""

from meshproxy.h2.errors import ErrorCode, H2ConnectionError

_MAX_SHIFT = 21
"""Four bytes after the first one, or 2**28: no length or index of ours comes near."""


def encode(value: int, prefix_bits: int, pattern: int = 0) -> bytes:
    """Returns *value* after a first byte whose high bits are *pattern*."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((pattern | value,))
    out = bytearray((pattern | limit,))
    value -= limit
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def rest(block: bytes, at: int, value: int) -> tuple[int, int]:
    """Returns the integer that continues at *at*, and the position after it.

    *value* is what its first byte said, all ones. Raises IndexError if the block ends before it
    does, and H2ConnectionError if it is longer than any that makes sense.
    """
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > _MAX_SHIFT:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, "an integer of over four bytes")
