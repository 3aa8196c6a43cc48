"""Traces that begin here and that nobody records: two header lines are all there is of them.

They are made many at once, which costs half as much for each.
"""

from binascii import b2a_base64, hexlify
from collections.abc import Callable
from struct import Struct
from typing import Final

from meshproxy.http import l5d
from meshproxy.http.headers import prefix

NAMES: Final = (l5d.CTX_TRACE, l5d.REQID)
"""The lower-case names of the lines."""
COUNT: Final = 128
"""How many are made at once."""
_TO_TRACE, _TO_REQID = map(prefix, NAMES)
_SOURCES: Final = (*range(16), *range(8, 16))
"""For each byte of span, parent and trace, that of the two ids: the server's span is the second."""
_SIZE: Final = 33
"""Bytes of a trace and one more, so that each is a whole number of characters in base64."""
_TEXT: Final = 44
"""Those characters."""
_traces = Struct(f"{_TEXT}s" * COUNT).unpack
_reqids = Struct("16x16s" * COUNT).unpack

Lines = tuple[bytes, bytes]


def new_traces(flags: int, random_bytes: Callable[[int], bytes]) -> list[Lines]:
    """Returns the lines of `COUNT` new traces with *flags*, with ids of *random_bytes*.

    Each tells an endpoint of an attempt's span below that of the server, as `http.trace_id` does.
    """
    ids = random_bytes(16 * COUNT)
    raw = bytearray((bytes(_SIZE - 2) + bytes((flags, 0))) * COUNT)
    for at, source in enumerate(_SOURCES):
        raw[at::_SIZE] = ids[source::16]
    text = bytearray(b2a_base64(raw, newline=False))
    text[_TEXT - 1 :: _TEXT] = b"=" * COUNT  # in place of the character of the byte too many
    traces, reqids = _traces(text), _reqids(hexlify(ids))
    return [
        (_TO_TRACE + trace, _TO_REQID + reqid) for trace, reqid in zip(traces, reqids, strict=True)
    ]
