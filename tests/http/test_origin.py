"""The clients of both protocols are origins."""

import pytest

from meshproxy.client.h1.pool import EndpointPool
from meshproxy.client.h2.sessions import EndpointSessions
from meshproxy.client.transport import Connect, ConnectStats, Transport
from meshproxy.http.limits import Limits
from meshproxy.http.origin import Origin
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address


@pytest.mark.parametrize("connect", [EndpointPool, EndpointSessions])
def test_connections_have_all_of_an_origin(connect: Connect) -> None:
    made = connect(Address("127.0.0.1", 1), Transport(Limits(), 1.0), ConnectStats(Tree()))
    wanted = [name for name in vars(Origin) if not name.startswith("_")]
    assert wanted == ["exchange", "close"]
    assert [name for name in wanted if not callable(getattr(made, name, None))] == []
