"""Every event that the protocols name is called, with the arguments they name."""

import inspect
from collections.abc import Callable
from typing import TypeAlias

import pytest

from meshproxy.h2 import frames
from meshproxy.h2.connection import H2Connection
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
    """A server with a request whose body is to come, and one that is too large."""
    made, recorder = server(max_header_list_bytes=300)
    made.receive(headers(1, POST + b"\x00\x01x\x7f\x81\x01" + b"y" * 256), NOW)
    made.receive(headers(3, POST, ends=False), NOW)
    return made, recorder, POST


def ask() -> Begun:
    """A client with a response whose body is to come."""
    made, recorder = client()
    for _ in range(4):
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
        frames.settings([]),
        frames.ping(b"8 bytes.", is_answer=True),
        frames.window_update(0, 1),
        data(3, b"x"),
        headers(3, TRAILERS),
        headers(5, block, ends=False) + frames.rst_stream(5, 8),
        headers(7, block, ends=False) + frames.window_update(7, 0),
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
