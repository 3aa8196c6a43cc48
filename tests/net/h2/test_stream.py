"""How a stream ends, once."""

import pytest
from h2.events import DataReceived, StreamReset, TrailersReceived
from h2.settings import SettingCodes

from meshproxy.errors import BadRequest, ClientGone
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.heads import response_fields
from meshproxy.http.headers import Headers, of
from tests.kit.h2_wire import POST, H2Wire, bare


@pytest.mark.parametrize("secret", [False, True])
def test_a_message_is_sent_whole_or_as_its_window_allows(secret: bool) -> None:
    trailers = of((b"grpc-status", b"0"))
    if secret:
        never = frozenset((b"grpc-status",))
        trailers = Headers(trailers.names, trailers.lines, never)
    with bare() as (session, sock):
        wire = H2Wire(sock)
        wire.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 3})
        owners = [session.owner(wire.ask(POST)) for _ in range(2)]
        fields, never = response_fields(200, of())[0], frozenset[bytes]()
        assert owners[0].send_whole(fields, never, b"abc", trailers)
        assert not owners[1].send_whole(fields, never, b"abcd", trailers)
        for number, body in ((1, b"abc"), (3, b"abcd")):
            heard, kinds = b"", (DataReceived, TrailersReceived)
            while isinstance(event := wire.until(kinds, number), DataReceived):
                heard += event.data
                wire.h2.acknowledge_received_data(len(event.data), number)
                wire.flush()
            assert heard == body
            (status,) = event.headers
            assert status == ("grpc-status", "0")
            assert status.indexable is not secret
        assert owners[1].said == [("output_ended", None)]


def test_a_reset_is_sent_and_ends_the_body() -> None:
    with bare() as (session, sock):
        wire = H2Wire(sock)
        owner = session.owner(wire.ask(POST, ends=False))
        owner.reset(ErrorCode.REFUSED_STREAM, BadRequest("not here"))
        owner.reset(ErrorCode.CANCEL, ClientGone("again"))
        assert wire.until(StreamReset).error_code == ErrorCode.REFUSED_STREAM
        assert isinstance(owner.failure, BadRequest)
        assert owner.inbound is not None
        assert owner.inbound.is_readable
