"""How a stream ends, once."""

from h2.events import StreamReset

from meshproxy.errors import BadRequest, ClientGone
from meshproxy.h2.errors import ErrorCode
from tests.kit.h2_wire import POST, H2Wire, bare


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
