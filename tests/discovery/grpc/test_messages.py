"""Messages of gRPC in any pieces; `test_channel` has the heads and statuses of servers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.grpc.messages import Messages, request_of
from meshproxy.discovery.watching.decoding import Malformed


def framed(*messages: bytes) -> bytes:
    return b"".join(b"\0" + len(one).to_bytes(4) + one for one in messages)


@given(st.lists(st.binary(max_size=30)), st.integers(min_value=1, max_value=20))
def test_messages_are_the_same_in_any_pieces(sent: list[bytes], size: int) -> None:
    messages = Messages(30)
    wire = framed(*sent)
    found: list[bytes] = []
    for at in range(0, len(wire), size):
        found += messages.feed(wire[at : at + size])
    assert found == sent
    assert messages.is_between


@pytest.mark.parametrize(
    ("wire", "why"),
    [(b"\1\0\0\0\1x", "compressed"), (b"\0\0\0\0\x1f", "over 30 bytes")],
)
def test_a_message_that_cannot_be_is_refused(wire: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        list(Messages(30).feed(wire))


def test_a_request_can_be_sent_again() -> None:
    body = request_of("namerd:4321", "/a.B/C", b"abc").body
    assert body is not None
    for _ in range(2):
        body.rewind()
        assert body.read() == framed(b"abc")
        assert body.is_replayable
