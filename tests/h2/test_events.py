"""Every event that the protocols name is called, with the arguments they name."""

import inspect
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hpack.hpack import encode_integer

from meshproxy.h2 import frames
from meshproxy.h2.connection import H2Connection
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.events import H2Events, ServerEvents
from tests.kit.h2 import (
    NOW,
    OK,
    POST,
    STREAM_EVENTS,
    TRAILERS,
    Recorder,
    client,
    data,
    get,
    headers,
    server,
)

Begun: TypeAlias = tuple[H2Connection, Recorder, bytes]


def serve() -> Begun:
    """A server with a request whose body is to come, and some that are large, or too many."""
    made, recorder = server(max_header_list_bytes=3000, max_concurrent_streams=3)
    for stream_id, size in ((1, 3000), (3, 10), (5, 2500), (7, 10)):
        length = bytes(encode_integer(size, 7))
        more = b"\x00\x01x" + length + b"y" * size
        made.receive(headers(stream_id, POST + more, ends=False), NOW)
    for stream_id in (1, 5):
        made.reset(recorder.streams[stream_id], ErrorCode.CANCEL)
        made.release(recorder.streams[stream_id])
    return made, recorder, POST


def ask() -> Begun:
    """A client with a response whose body is to come."""
    made, recorder = client()
    for _ in range(6):
        get(made)
    made.receive(headers(3, b"\x08\x03103", ends=False) + headers(3, OK, ends=False), NOW)
    return made, recorder, OK


@pytest.mark.parametrize(
    ("begin", "protocol", "others"),
    [
        (serve, ServerEvents, {"interim_received", "response_received"}),
        (ask, H2Events, set()),
    ],
)
def test_each_event_is_called_as_declared(
    begin: Callable[[], Begun], protocol: type, others: set[str]
) -> None:
    made, recorder, block = begin()
    for each in (
        frames.settings([(4, 100_000)]),
        frames.ping(b"8 bytes.", is_answer=True),
        frames.window_update(0, 1),
        data(3, b"x"),
        headers(3, TRAILERS),
        headers(9, block, ends=False) + frames.rst_stream(9, 8),
        headers(11, block, ends=False) + frames.window_update(11, 0),
        frames.goaway(0, 0),
    ):
        made.receive(each, NOW)
    declared = {name: count for name, count in STREAM_EVENTS.items() if name not in others} | {
        name: len(inspect.signature(method).parameters) - 1
        for name, method in inspect.getmembers(protocol, inspect.isfunction)
        if not name.startswith("_")
    }
    assert {name for name, *_ in recorder.events} == declared.keys()
    for name, *arguments in recorder.events:
        assert len(arguments) == max(1, declared[name]), name
