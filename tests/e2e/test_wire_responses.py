"""Every response of the corpus through a whole proxy, over sockets, cut in every way."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h11
import pytest
import yaml

from tests.e2e.test_wire_requests import CONFIG, World, at_once, end_with_last
from tests.kit import recorder
from tests.kit.proxy import Proxy
from tests.kit.recorder import Raw, Recorder
from tests.kit.wire import CutShort, NoReply, WireClient

CORPUS = yaml.safe_load((Path(__file__).parent.parent / "corpus/responses.yaml").read_text())
pytestmark = pytest.mark.world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Recorder() as endpoint, Proxy(CONFIG.format(port=endpoint.port)) as proxy:
        yield World(proxy.port(), endpoint)


def cases(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CORPUS[kind]]


def cuts(case: dict[str, Any]) -> list[list[bytes]]:
    """Return the ways to cut the response; a reset overtakes and drops small segments."""
    ways = recorder.cuts(case["raw"].encode("latin-1"))
    return [parts for parts in ways if len(parts) < 3 or case.get("end") != "reset"]


def ask(client: WireClient, case: dict[str, Any], target: str = "/case") -> bytes:
    """Ask for *target* the way that *case* wants it; return the method."""
    method, version = case.get("method", "GET"), case.get("version", "1.1")
    more = case.get("more", "")
    client.send(f"{method} {target} HTTP/{version}\r\nHost: a\r\n{more}\r\n".encode())
    return method.encode()


def each_cut(world: World, case: dict[str, Any], check: Callable[[WireClient, str], None]) -> None:
    """Let *check* ask for a target of its own for each cut, on connections of their own.

    No connection of the proxy's that one of them has come on is used any more.
    """
    endpoint = world.endpoint
    endpoint.forget()
    endpoint.scripts = {
        f"/case/{n}": Raw(parts, case.get("end", "keep")) for n, parts in enumerate(cuts(case))
    }

    def check_one(target: str) -> None:
        with WireClient(world.port) as client:
            check(client, target)

    at_once(check_one, endpoint.scripts)
    endpoint.settle()
    assert endpoint.breaches == []
    asked = [one for one in endpoint.seen if one.target in endpoint.scripts]
    targets = Counter(one.target for one in asked)
    assert targets.keys() == endpoint.scripts.keys()
    assert max(targets.values()) <= 2  # one that said nothing may be asked again
    last_of = {one.connection: one for one in endpoint.seen}
    assert all(last_of[one.connection] is one for one in asked)
    assert not endpoint.open.intersection(one.connection for one in asked)
    ask_again(world)


def ask_again(world: World) -> int:
    """Let a request get its own answer by a connection of its own; return the endpoint's."""
    with WireClient(world.port) as client:
        world.ask_last(client)
    return world.endpoint.seen[-1].connection


@pytest.mark.parametrize("case", cases("valid"))
def test_a_valid_response_arrives_however_it_is_cut(world: World, case: dict[str, Any]) -> None:
    wanted = [tuple(pair) for pair in case.get("fields", [])]
    names = {name for name, _ in wanted}
    for parts in cuts(case):
        world.endpoint.forget()
        world.endpoint.scripts["/case"] = Raw(parts, case.get("end", "keep"))
        with WireClient(world.port) as client:
            reply = client.read(ask(client, case))
            assert (reply.status, reply.body) == (case["status"], case["body"].encode("latin-1"))
            fields = [(name.decode().lower(), value.decode("latin-1")) for name, value in reply.raw]
            assert [pair for pair in fields if pair[0] in names] == wanted
            assert not {name for name, _ in fields}.intersection(case.get("absent", []))
            assert {"via", "date", *case.get("present", [])} <= {name for name, _ in fields}
            trailers = [(name.decode(), value.decode()) for name, value in reply.trailers]
            assert trailers == [tuple(pair) for pair in case.get("trailers", [])]
            assert case.get("version") != "1.0" or not reply.informational
            world.endpoint.settle()
            asked_by = world.endpoint.seen[0].connection
            if case.get("closes"):
                assert client.read_to_end() == b""
            else:
                world.ask_last(client)
                assert (world.endpoint.seen[-1].connection == asked_by) is case["reused"]
        again_by = ask_again(world)
        assert case["reused"] or again_by != asked_by


@pytest.mark.parametrize("case", cases("cut"))
def test_of_a_response_that_is_cut_the_beginning_arrives(
    world: World, case: dict[str, Any]
) -> None:
    def check(client: WireClient, target: str) -> None:
        method = ask(client, case, target)
        with pytest.raises((CutShort, ConnectionResetError, h11.RemoteProtocolError)) as ended:
            client.read(method)
        if case.get("version") != "1.0":  # there only a reset tells, and may overtake the head
            assert not ended.errisinstance((NoReply, ConnectionResetError))

    each_cut(world, case, check)


@pytest.mark.parametrize("case", cases("invalid"))
def test_an_invalid_response_is_a_502(world: World, case: dict[str, Any]) -> None:
    def check(client: WireClient, target: str) -> None:
        reply = client.read(ask(client, case, target))
        assert reply.status == 502, world.endpoint.scripts[target]
        assert reply.get("l5d-err")
        assert reply.get("via") is None
        if case.get("version") != "1.0":
            end_with_last(client)

    each_cut(world, case, check)
