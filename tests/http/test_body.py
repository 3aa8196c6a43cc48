"""The bodies of both sides, streams and pipes are what the protocols say; mypy judges the rest."""

import inspect

import pytest

from meshproxy.http import body
from meshproxy.http.whole_body import WholeBody
from meshproxy.net.framings import ChunkedBody, CountedBody, UntilCloseBody
from meshproxy.net.pipe import Pipe
from meshproxy.net.stream import Stream
from meshproxy.net.tunnel import Tunnel
from meshproxy.server.h1.request_body import ClientBody


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [
        (body.Body, CountedBody),
        (body.Body, ChunkedBody),
        (body.Body, UntilCloseBody),
        (body.Body, Tunnel),
        (body.RequestBody, ClientBody),
        (body.RequestBody, WholeBody),
        (body.Interruption, Stream),
        (body.Splice, Pipe),
    ],
)
def test_everything_a_protocol_names_is_there(protocol: type, kind: type) -> None:
    named = {name for name, _ in inspect.getmembers(protocol) if not name.startswith("_")}
    named |= set(inspect.get_annotations(protocol))
    assert [name for name in sorted(named) if not hasattr(kind, name)] == []
