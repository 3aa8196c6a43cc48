"""Pieces of bodies that wait, which a peer may have cut as small as it likes."""

from collections.abc import MutableSequence
from typing import Any, Final

JOINED_BELOW: Final = 512
"""Pieces of fewer bytes are joined, since an object takes 50 bytes besides what it holds."""
_JOINED: Final = 4096
"""Bytes up to which pieces are joined, as joining copies."""


def hold(pieces: MutableSequence[Any], data: bytes | memoryview) -> None:
    """Adds a copy of *data* at the end of *pieces*, or to the last of them if it is small."""
    last = pieces[-1] if pieces else None
    if type(last) is bytes and len(data) < JOINED_BELOW and len(last) < _JOINED:
        pieces[-1] = last + data
    else:
        pieces.append(bytes(data))
