"""Peers are the connections of both protocols; a certificate compares by what it says."""

import inspect

import pytest

from meshproxy.http.peer import Certificate, Peer
from meshproxy.server.h1.connection import Connection
from meshproxy.server.h2.session import ServerSession


@pytest.mark.parametrize("kind", [Connection, ServerSession])
def test_everything_that_the_protocol_names_is_there(kind: type) -> None:
    named = {*inspect.get_annotations(Peer), "certificate"}
    assert named == {"remote", "local", "certificate"}
    assert [name for name in sorted(named) if not hasattr(kind, name)] == []


def test_a_certificate_need_not_name_anyone() -> None:
    assert Certificate(b"der") == (b"der", (), ())
