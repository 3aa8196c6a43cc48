"""What an endpoint says during a request: informational responses are passed over, no others."""

import pytest

from meshproxy.client.h1.early import MAX_INTERIM, EarlyAnswer
from meshproxy.errors import BadResponse
from meshproxy.http.message import Request
from tests.kit import pair
from tests.kit.messages import Heard, request

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.0 103 Early Hints\r\nLink: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


def hear(*said: bytes, asked: Request | None = None) -> tuple[list[bool], EarlyAnswer]:
    """Return what `has_begun` makes of each of the things said in turn; empty is the end."""
    early, begun = EarlyAnswer(asked or request()), []
    with pair.plain() as (stream, other):
        for data in said:
            other.sendall(data) if data else other.close()
            stream.wait_readable(float("inf"))
            stream._disarm()
            begun.append(early.has_begun(stream))
    return begun, early


@pytest.mark.parametrize(
    ("said", "begun", "data"),
    [
        ([CONTINUE], [False], b""),
        ([CONTINUE + HINTS], [False], b""),
        ([CONTINUE[:9], CONTINUE[9:11], CONTINUE[11:], OK], [False, False, False, True], OK),
        ([CONTINUE + OK], [True], OK),
        ([b"HTTP", b"/1.1 2"], [False, True], b"HTTP/1.1 2"),
        ([b"HTTP/1.1 10", b"1 Switching"], [False, True], b"HTTP/1.1 101 Switching"),
        ([b"SSH"], [True], b"SSH"),
        ([b""], [True], b""),
        ([CONTINUE, b""], [False, True], b""),
        ([CONTINUE[:15], b""], [False, True], CONTINUE[:15]),
    ],
)
def test_only_a_final_response_or_the_end_counts(
    said: list[bytes], begun: list[bool], data: bytes
) -> None:
    heard, early = hear(*said)
    assert (heard, early.data) == (begun, data)


def test_nothing_to_read_is_no_answer() -> None:
    with pair.plain() as (stream, _):
        stream._disarm()
        assert not EarlyAnswer(request()).has_begun(stream)


def test_informational_responses_are_counted_and_have_a_limit() -> None:
    assert hear(CONTINUE * MAX_INTERIM)[1].count == MAX_INTERIM
    with pytest.raises(BadResponse):
        hear(CONTINUE * (MAX_INTERIM + 1))


def test_a_client_that_wants_them_is_told_of_each() -> None:
    asked = request()
    asked.informed = heard = Heard()
    hear(CONTINUE + HINTS, asked=asked)
    assert heard.said == [(100, []), (103, [b"Link: x"])]


def test_a_malformed_one_is_a_bad_response() -> None:
    with pytest.raises(BadResponse):
        hear(b"HTTP/1.1 103 Early\r\nX Y: z\r\n\r\n")


def test_one_without_end_is_left_to_who_reads_the_response() -> None:
    head = b"HTTP/1.1 103 Early\r\nX: " + b"x" * 65536
    with pair.plain() as (stream, other):
        early = EarlyAnswer(request())
        for data in (head[:40000], head[40000:]):
            other.sendall(data)
            begun = early.has_begun(stream)
        while not begun and len(early.data) < len(head):
            begun = early.has_begun(stream)
    assert begun
