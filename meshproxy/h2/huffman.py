"""Decodes HPACK's Huffman code (RFC 7541 section 5.2 and appendix B), mostly by zlib.

The code is canonical, so the lengths of its codes define it. Codes of up to 15 bits, together with
an end-of-block code of 15 ones, happen to be one complete deflate code; longer codes all begin with
15 ones. So zlib decodes every string of common characters, and all those of a block at once. What
zlib does not take (a rare character, or a fault) is decoded four bits at a time.
"""

import zlib
from functools import lru_cache

from meshproxy.h2.errors import ErrorCode, H2ConnectionError

LENGTHS = (
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30,
    28, 28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5,
    7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22,
    22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23,
    22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22,
    21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26,
    26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20,
    24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27,
    27, 28, 27, 27, 27, 27, 27, 26, 30,
)  # fmt: skip
"""Bits of the code of each byte, and of EOS, which is the last."""
_EOS = 256
_SPACE = ord(" ")
"""The byte as an int, because `in` on bytes first tries to use its operand as an index."""
_MAX_PADDING = 7
_DEFLATE_BITS = 15
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits the other way round; deflate begins with the lowest."""
_SEPARATOR = bytes.fromhex("f3ff5ff8")
"""Four bytes that a decoder in any state leaves as one that begins, with a zero byte as the last.

After 0 to 7 ones, which is what a string may be padded with, they are two characters and the zero
byte, others for each number of ones: `_ENDINGS`. In no other state are they any of these.
"""
_ENDINGS = frozenset(b'x# *# X@ "# ?@ |@ $# ]@'.split())


def _deflate_head() -> bytes:
    """Returns the start of a deflate stream whose code is HPACK's (RFC 1951 section 3.2.7)."""
    bits: list[int] = []

    def put(value: int, count: int) -> None:
        bits.extend(value >> at & 1 for at in range(count))

    for _ in range(3):  # empty blocks of the fixed code, after which the head ends with a byte
        put(0b010, 3)
        put(0, 7)
    put(0b101, 3)
    put(0, 5)
    put(0, 5)
    put(15, 4)
    lengths = [bits if bits <= _DEFLATE_BITS else 0 for bits in LENGTHS[:_EOS]]
    codes = {length: code for code, length in enumerate([0, *range(4, 19)])}  # of equal length
    for length in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15):
        put(4 if length in codes else 0, 3)
    for length in [*lengths, _DEFLATE_BITS, 0]:
        code = codes[length]
        bits.extend(code >> at & 1 for at in (3, 2, 1, 0))
    return bytes(
        sum(bit << at for at, bit in enumerate(bits[first : first + 8]))
        for first in range(0, len(bits), 8)
    )


class _Strings:
    """Decodes strings of common characters with one inflater, which they leave as they found it."""

    __slots__ = ("_inflater", "_unused")

    def __init__(self) -> None:
        self._unused = zlib.decompressobj(-9)  # raw; the smallest window: nothing refers back
        self._unused.decompress(_deflate_head())
        self._inflater = self._unused.copy()

    def decode_all(self, coded: list[bytes]) -> tuple[list[bytes], bool]:
        """Returns the text of each of *coded*, and True if all are known to be sound values.

        They are if they have common characters alone, and no space at either end: no control
        character is common but NUL, which separates them here. Raises H2ConnectionError.
        """
        inflater = self._inflater
        joined = _SEPARATOR.join(coded) + _SEPARATOR
        text = inflater.decompress(joined.translate(_REVERSED))
        texts = text.split(b"\0")
        count = len(coded)
        decoded: list[bytes] = []
        for each in texts:
            if each[-2:] not in _ENDINGS:
                break
            decoded.append(each[:-2])
        if len(decoded) != count or len(texts) != count + 1 or texts[count] or inflater.eof:
            self._inflater = self._unused.copy()
            return [_decode_by_nibbles(raw) for raw in coded], False
        return decoded, _SPACE not in text or decoded == [*map(bytes.strip, decoded)]


decode_all = _Strings().decode_all


def decode(raw: bytes) -> bytes:
    """Returns the text that *raw* encodes. Raises H2ConnectionError."""
    return decode_all([raw])[0][0]


def _decode_by_nibbles(raw: bytes) -> bytes:
    steps, may_end = _automaton()
    out = bytearray()
    state = 0
    for nibble in raw.hex().encode("ascii"):
        state, byte = steps[state][nibble]
        if byte == _EOS:
            raise H2ConnectionError(ErrorCode.COMPRESSION_ERROR, "EOS in a Huffman-coded string")
        if byte is not None:
            out.append(byte)
    if state not in may_end:
        raise H2ConnectionError(
            ErrorCode.COMPRESSION_ERROR, "bad padding of a Huffman-coded string"
        )
    return bytes(out)


Steps = list[dict[int, tuple[int, int | None]]]
"""By state and hexadecimal digit: the next state, and the byte that is complete now, if any."""


@lru_cache(1)
def _automaton() -> tuple[Steps, frozenset[int]]:
    """Returns the steps, and the states in which a string may end: within at most 7 ones of EOS.

    A state is the bits of an incomplete code; no code is shorter than four bits, so a step
    completes one code at most.
    """
    codes = canonical_codes()
    leaves = {(bits, code): byte for byte, (bits, code) in enumerate(codes)}
    inner = {(at, code >> bits - at) for bits, code in codes for at in range(1, bits)}
    states = [(0, 0), *sorted(inner)]
    number = {state: index for index, state in enumerate(states)}
    steps: Steps = []
    for state in states:
        row: dict[int, tuple[int, int | None]] = {}
        for digit in range(16):
            (bits, code), done = state, None
            for at in (3, 2, 1, 0):
                bits, code = bits + 1, code << 1 | digit >> at & 1
                if (byte := leaves.get((bits, code))) is not None:
                    (bits, code), done = (0, 0), byte
                    if byte == _EOS:
                        break
            row[ord(f"{digit:x}")] = number[bits, code], done
        steps.append(row)
    ends = {number[bits, (1 << bits) - 1] for bits in range(_MAX_PADDING + 1)}
    return steps, frozenset(ends)


def canonical_codes() -> list[tuple[int, int]]:
    """Returns bits and code of each byte and of EOS."""
    codes = [(0, 0)] * len(LENGTHS)
    code = -1
    bits = 0
    for length, byte in sorted((length, byte) for byte, length in enumerate(LENGTHS)):
        code = (code + 1) << (length - bits)
        bits = length
        codes[byte] = (length, code)
    return codes
