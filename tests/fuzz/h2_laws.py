"""What holds for every byte that HTTP/2 peers and HPACK blocks may have, however odd."""

from itertools import pairwise

import hpack

from meshproxy.h2 import frames
from meshproxy.h2.client import H2Client
from meshproxy.h2.connection import H2Connection
from meshproxy.h2.decoder import Decoder
from meshproxy.h2.encoder import Encoder
from meshproxy.h2.errors import H2ConnectionError
from meshproxy.h2.server import H2Server
from meshproxy.h2.settings import LocalSettings
from tests.kit.h2 import NOW, SETTINGS, Event, Recorder, get

LOCAL = LocalSettings(
    stream_window_bytes=200, connection_window_bytes=70_000, window_update_ratio=0.9,
    max_header_list_bytes=400, max_concurrent_streams=3,
)  # fmt: skip
Heard = tuple[list[Event], bytes, object]
"""The events, what there is to send, and the code of the error that ended it, if one did."""


def http2(data: bytes) -> None:
    """What a peer sends after its preface: the first byte says to whom, the second where it is cut.

    The engine refuses with its own error and nothing else, says so in a GOAWAY, does the same
    however the bytes come, lets no peer open more than it may, and counts every byte of windows.
    """
    is_client, at, raw = data[:1] == b"C", data[1:2], data[2:]
    whole = _heard([raw], is_client=is_client)
    assert _heard([raw[at : at + 1] for at in range(len(raw))], is_client=is_client) == whole
    cuts = sorted({0, *(cut % (len(raw) + 1) for cut in at), len(raw)})
    assert _heard([raw[a:b] for a, b in pairwise(cuts)], is_client=is_client) == whole


def _heard(pieces: list[bytes], *, is_client: bool) -> Heard:
    recorder = Recorder()
    connection: H2Connection
    if is_client:
        connection = asking = H2Client(recorder, LOCAL, NOW)
        for _ in range(3):
            get(asking, ends=False)
    else:
        connection = H2Server(recorder, LOCAL, NOW)
        connection.receive(frames.PREFACE, NOW)
    connection.receive(SETTINGS + frames.SETTINGS_ACK, NOW)
    code = None
    try:
        for piece in pieces:
            connection.receive(piece, NOW)
    except H2ConnectionError as error:
        code = error.code
    assert connection.open_streams <= LOCAL.max_concurrent_streams
    assert all(stream.unconsumed >= 0 for stream in recorder.streams.values())
    for stream in recorder.streams.values():
        connection.consume(stream, 1 << 20)
        assert stream.unconsumed == 0
    events = [tuple(map(_plain, event)) for event in recorder.events]
    sent = b"".join(connection.take())
    if code is not None:
        assert frames.goaway(connection._last_of_peer(), code)[9:17] in sent
    return events, sent, code


def _plain(value: object) -> object:
    """Return *value* as something that equals another one made of the same bytes."""
    return tuple(value.lines) if hasattr(value, "lines") else value


def hpack_block(data: bytes) -> None:
    """Blocks of one connection, each after a byte with its length; hpack reads the same.

    What our encoder makes of the fields reads the same to both.
    """
    ours, theirs = Decoder(1 << 16, 10_000), hpack.Decoder(1 << 24)
    encoder, back, their_back = Encoder(), Decoder(1 << 16, 10_000), hpack.Decoder(1 << 24)
    theirs.max_allowed_table_size = 4096
    while data:
        block, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        try:
            section = ours.decode(block)
        except H2ConnectionError:
            return  # we may be stricter: late size updates, integers of many bytes
        if section.is_too_large:
            return
        assert tuple(map(tuple, theirs.decode(block, raw=True))) == section.fields
        again = encoder.encode(section.fields, section.never_indexed)
        assert back.decode(again).fields == section.fields
        assert tuple(map(tuple, their_back.decode(again, raw=True))) == section.fields
