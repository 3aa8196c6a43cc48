"""HTTP/2 as a listener's protocol: connections are refused, adopted, and nothing else's."""

import gevent
from h2.events import ResponseReceived

from meshproxy.errors import NoDescriptor
from meshproxy.h2.errors import ErrorCode
from meshproxy.http.message import Request, Response, text_response
from meshproxy.net.stream import Stream
from tests.kit.h2 import parsed
from tests.kit.h2_serving import parameters, serving_h2
from tests.kit.h2_wire import raw_frames
from tests.kit.pair import tcp_pair
from tests.kit.serving import serving


def test_a_connection_that_cannot_be_served_is_told_so() -> None:
    with serving_h2() as server:
        ours, theirs = tcp_pair()
        server.protocol.refuse(Stream(ours), NoDescriptor("out of descriptors"))
        with theirs:
            _, goodbye = parsed(raw_frames(theirs))
        assert goodbye.last_stream_id == 0
        assert goodbye.error_code == ErrorCode.ENHANCE_YOUR_CALM
        assert b"out of descriptors" in goodbye.additional_data


def test_a_reload_serves_the_next_request() -> None:
    def other(_request: Request) -> Response:
        return text_response(200, "other")

    with serving_h2() as server, server.client() as wire:
        assert wire.body(wire.ask()) == b"ok"
        server.listener.adopt(parameters(server, other))
        assert wire.body(wire.ask()) == b"other"


def test_another_protocols_connection_is_not_adopted() -> None:
    with serving_h2() as server, server.client() as wire, serving() as http1:
        wire.until(ResponseReceived, wire.ask())
        gevent.sleep(0)
        assert server.protocol.adopt(server.session)
        assert not http1.listener._parameters.protocol.adopt(server.session)
