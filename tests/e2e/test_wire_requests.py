"""Every request of the corpus through a whole proxy, over sockets, cut in every way."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import pytest
import yaml
from gevent import socket
from gevent.pool import Pool

from tests.kit.proxy import Proxy
from tests.kit.recorder import Recorder, cuts
from tests.kit.wire import WireClient

CORPUS = yaml.safe_load((Path(__file__).parent.parent / "corpus/requests.yaml").read_text())
CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  identifier: {{kind: io.l5d.static, path: /x}}
  dtab: /svc/x => /$/inet/127.0.0.1/{port} ;
  client: {{failureAccrual: {{kind: none}}}}
  servers:
  - port: 0
    ip: 127.0.0.1
    addForwardedHeader: {{by: {{kind: ip}}, for: {{kind: ip}}}}
    timestampHeader: x-at
"""
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
AT_ONCE = 64
"""Connections on which cuts are tried at the same time, all waiting in the same turns."""
pytestmark = pytest.mark.world


@dataclass
class World:
    """One proxy and one endpoint for all cases."""

    port: int
    endpoint: Recorder

    def ask_last(self, client: WireClient) -> None:
        """Let a request get its own answer on this connection, which ends after it."""
        self.endpoint.forget()
        end_with_last(client)
        assert self.endpoint.lines == ["GET /last "]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Recorder() as endpoint, Proxy(CONFIG.format(port=endpoint.port)) as proxy:
        yield World(proxy.port(), endpoint)


def cases(*kinds: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for kind in kinds for case in CORPUS[kind]]


def send(client: WireClient, parts: list[bytes]) -> None:
    """Send every part as a segment of its own, which the proxy has taken before the next.

    The proxy lives on this loop, so it has once the loop has had a turn with nothing to do.
    """
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for part in parts:
        client.send(part)
        gevent.idle()


def end_with_last(client: WireClient) -> None:
    client.send(LAST)
    assert client.read().body == b"GET /last "
    assert client.read_to_end() == b""


def at_once(try_one: Callable[[Any], Any], ways: Iterable[Any]) -> list[Any]:
    """Try all *ways*, many at once, and return what came of each; the first that fails ends it."""
    pool = Pool(AT_ONCE)
    try:
        return list(pool.imap(try_one, ways))
    finally:
        pool.kill()


@pytest.mark.parametrize("case", cases("valid"))
def test_a_valid_request_arrives_however_it_is_cut(world: World, case: dict[str, Any]) -> None:
    for parts in cuts(case["raw"].encode("latin-1")):
        world.endpoint.forget()
        with WireClient(world.port) as client:
            send(client, parts)
            for line in case["served"]:
                method = line.partition(" ")[0].encode()
                reply = client.read(method)
                assert reply.status == 200
                assert reply.body == (b"" if method == b"HEAD" else line.encode("latin-1"))
                if case["raw"].partition("\r\n")[0].endswith("1.0"):
                    assert not reply.informational
            assert (world.endpoint.breaches, world.endpoint.cut) == ([], 0)
            check_seen(case, world.endpoint)
            if case.get("closes"):
                assert client.read_to_end() == b""
                assert reply.get("connection") == "close"
            else:
                world.ask_last(client)


def check_seen(case: dict[str, Any], endpoint: Recorder) -> None:
    assert endpoint.lines == case["served"]
    last = endpoint.seen[-1]
    assert last.host == case.get("host", last.host)
    wanted = [tuple(pair) for pair in case.get("fields", [])]
    names = {name for name, _ in wanted}
    assert [pair for pair in last.fields if pair[0] in names] == wanted
    assert names.union(case.get("present", [])) <= {name for name, _ in last.fields}
    assert not {name for name, _ in last.fields}.intersection(case.get("absent", []))
    assert last.trailers == [tuple(pair) for pair in case.get("trailers", [])]


@pytest.mark.parametrize("case", cases("invalid", "invalid_bodies"))
def test_an_invalid_request_is_answered_closed_and_not_sent_on(
    world: World, case: dict[str, Any]
) -> None:
    raw, good, endpoint = case["raw"].encode("latin-1"), case.get("served", 0), world.endpoint
    ways = cuts(raw)
    endpoint.forget()
    statuses = at_once(lambda parts: refused_with(world, case, parts), ways)
    assert len({*statuses}) == 1, dict(zip(map(tuple, ways), statuses, strict=True))
    endpoint.settle()
    assert (len(endpoint.seen), endpoint.breaches) == (good * len(ways), [])
    assert endpoint.cut == 0 or case in CORPUS["invalid_bodies"]
    assert endpoint.residue == []
    with WireClient(world.port) as client:
        world.ask_last(client)


def refused_with(world: World, case: dict[str, Any], parts: list[bytes]) -> int:
    """Send *parts*, which are *case*, check all that comes back, and return the status."""
    good = case.get("served", 0)
    statuses = case["status"] if isinstance(case["status"], list) else [case["status"]]
    method = b"HEAD" if case["raw"].startswith("HEAD") else b"GET"
    with WireClient(world.port) as client:
        try:
            send(client, parts)
        except OSError:
            assert len(parts) > 1  # it was refused before it was all sent
        assert [client.read().status for _ in range(good)] == [200] * good, parts
        reply = client.read(method)
        assert client.read_to_end() == b"", parts
    assert reply.status in statuses, parts
    assert reply.get("connection") == "close"
    assert reply.get("l5d-err")
    assert reply.get("content-length")
    assert not re.search(rb"[\0-\x1f\x7f]", reply.body)
    return reply.status
