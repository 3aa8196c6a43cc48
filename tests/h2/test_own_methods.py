"""Copies of inherited methods: they do the same, and share no code with those of other classes."""

from types import FunctionType

import pytest

from meshproxy.client.h2.exchange import H2Exchange
from meshproxy.client.h2.session import ClientSession
from meshproxy.h2.client import ClientReader, H2Client
from meshproxy.h2.own_methods import own_methods
from meshproxy.h2.server import H2Server, ServerReader
from meshproxy.server.h2.call import Call
from meshproxy.server.h2.session import ServerSession


class Root:
    """Has a method that is overridden further on."""

    def named(self) -> list[str]:
        """Return who was asked."""
        return ["root"]


class Base(Root):
    """Has what methods may have: defaults, keywords, `super()`, a docstring."""

    def named(self) -> list[str]:
        """Return who was asked, the bases first."""
        return [*super().named(), "base"]

    def summed(self, one: int, two: int = 2, *, three: int = 3) -> int:
        """Return the sum."""
        return one + two + three


@own_methods
class One(Base):
    """A leaf that overrides nothing."""


@own_methods
class Two(Base):
    """A leaf that overrides a method."""

    def named(self) -> list[str]:
        """Return who was asked, the bases first."""
        return [*super().named(), "two"]


def test_copies_do_what_the_methods_did() -> None:
    assert One().named() == ["root", "base"]
    assert Two().named() == ["root", "base", "two"]
    assert One().summed(1) == 6
    assert One().summed(1, three=4) == 7


def test_a_copy_says_where_it_is_from() -> None:
    copy = vars(One)["summed"]
    assert copy.__qualname__ == "Base.summed"
    assert copy.__doc__ == Base.summed.__doc__
    assert copy.__module__ == __name__
    assert copy.__annotations__ == Base.summed.__annotations__


@pytest.mark.parametrize(
    ("server", "client"),
    [
        (One, Two),
        (ServerSession, ClientSession),
        (H2Server, H2Client),
        (ServerReader, ClientReader),
        (Call, H2Exchange),
    ],
)
def test_servers_and_clients_share_no_code(server: type, client: type) -> None:
    shared = [
        name
        for name in dir(server)
        if isinstance(method := getattr(server, name), FunctionType)
        and method.__code__ is getattr(getattr(client, name, None), "__code__", None)
    ]
    assert not shared
