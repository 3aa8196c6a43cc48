"""An API that says what it is told to."""

from collections.abc import Callable, Iterator

import pytest

from meshproxy.discovery.watching.api import Api, Bounds
from meshproxy.naming.addr import Addr, AddrBound, Address
from meshproxy.var import Var
from tests.kit.http_api import Asked, HttpApi, Said

QUICK = Bounds(pace_s=0.0, connect_s=5.0, head_s=0.2, body_s=0.2, max_bytes=1 << 20)
"""A server of the test that says nothing is given up soon."""


class Scripted(HttpApi):
    """Answers by `script`."""

    script: Callable[[Asked], Said] = staticmethod(lambda asked: Said(body=asked.target.encode()))

    def answer(self, asked: Asked) -> Said:
        return self.script(asked)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        yield server


def at(*ports: int) -> Addr:
    """Return the address of these ports of loopback."""
    return AddrBound(frozenset(Address("127.0.0.1", port) for port in ports))


def api_at(where: Var[Addr] | int, bounds: Bounds = QUICK, **others: object) -> Api:
    """Return the API at *where*."""
    place = Var(at(where)) if isinstance(where, int) else where
    return Api(place, "api.test:80", bounds=bounds, **others)
