"""However small a body is cut, what waits of it takes little more than its bytes."""

from collections import deque
from sys import getsizeof
from typing import Any

import pytest

from meshproxy.net.h2.pieces import hold


@pytest.mark.parametrize("size", [1, 2, 100, 511, 512, 5000, 16384])
def test_pieces_stay_in_order_and_few(size: int) -> None:
    pieces: deque[Any] = deque()
    whole = bytes(range(256)) * 512
    for at in range(0, len(whole), size):
        hold(pieces, memoryview(whole)[at : at + size])
    assert b"".join(pieces) == whole
    assert {type(one) for one in pieces} == {bytes}
    assert sum(map(getsizeof, pieces)) < 1.1 * len(whole)


def test_a_view_is_left_as_it_is() -> None:
    pieces: deque[Any] = deque([memoryview(b"view")])
    hold(pieces, b"a")
    hold(pieces, b"b")
    assert list(pieces) == [b"view", b"ab"]
