"""Every response of the corpus through a whole proxy, over sockets, cut in every way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h11
import pytest
import yaml

from tests.e2e.test_wire_requests import CONFIG, World
from tests.kit import recorder
from tests.kit.proxy import Proxy
from tests.kit.recorder import Raw, Recorder
from tests.kit.wire import CutShort, WireClient

CORPUS = yaml.safe_load((Path(__file__).parent.parent / "corpus/responses.yaml").read_text())
pytestmark = pytest.mark.world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Recorder() as endpoint, Proxy(CONFIG.format(port=endpoint.port)) as proxy:
        yield World(proxy.port(), endpoint)


def cases(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CORPUS[kind]]


def cuts(case: dict[str, Any], *, everywhere: bool = False) -> list[list[bytes]]:
    """Return the ways to cut the response; a reset overtakes and drops small segments."""
    ways = recorder.cuts(case["raw"].encode("latin-1"), everywhere=everywhere)
    return [parts for parts in ways if len(parts) < 3 or case.get("end") != "reset"]


def ask(world: World, client: WireClient, case: dict[str, Any], parts: list[bytes]) -> bytes:
    """Ask for /case, which is answered with *parts*; return the method."""
    method, version = case.get("method", "GET"), case.get("version", "1.1")
    world.endpoint.forget()
    world.endpoint.script = Raw(parts, case.get("end", "keep"))
    client.send(f"{method} /case HTTP/{version}\r\nHost: a\r\n{case.get('more', '')}\r\n".encode())
    return method.encode()


def ask_again(world: World) -> int:
    """Let a request get its own answer by a connection of its own; return the endpoint's."""
    with WireClient(world.port) as client:
        world.ask_last(client)
    return world.endpoint.seen[-1].connection


@pytest.mark.parametrize("case", cases("valid"))
def test_a_valid_response_arrives_however_it_is_cut(world: World, case: dict[str, Any]) -> None:
    wanted = [tuple(pair) for pair in case.get("fields", [])]
    names = {name for name, _ in wanted}
    for parts in cuts(case, everywhere=True):
        with WireClient(world.port) as client:
            reply = client.read(ask(world, client, case, parts))
            assert (reply.status, reply.body) == (case["status"], case["body"].encode("latin-1"))
            fields = [(name.decode().lower(), value.decode("latin-1")) for name, value in reply.raw]
            assert [pair for pair in fields if pair[0] in names] == wanted
            assert not {name for name, _ in fields}.intersection(case.get("absent", []))
            assert {"via", "date", *case.get("present", [])} <= {name for name, _ in fields}
            trailers = [(name.decode(), value.decode()) for name, value in reply.trailers]
            assert trailers == [tuple(pair) for pair in case.get("trailers", [])]
            assert case.get("version") != "1.0" or not reply.informational
            asked_by = world.endpoint.seen[0].connection
            if case.get("closes"):
                assert client.read_to_end() == b""
            else:
                world.ask_last(client)
                assert (world.endpoint.seen[-1].connection == asked_by) is case["reused"]
        again_by = ask_again(world)
        assert case["reused"] or again_by != asked_by


@pytest.mark.parametrize("case", cases("cut"))
def test_a_response_that_is_cut_never_looks_complete(world: World, case: dict[str, Any]) -> None:
    for parts in cuts(case):
        with WireClient(world.port) as client:
            method = ask(world, client, case, parts)
            with pytest.raises((CutShort, ConnectionResetError, h11.RemoteProtocolError)):
                client.read(method)
        asked_by = world.endpoint.seen[0].connection
        assert ask_again(world) != asked_by


@pytest.mark.parametrize("case", cases("invalid"))
def test_an_invalid_response_is_a_502(world: World, case: dict[str, Any]) -> None:
    for parts in cuts(case):
        with WireClient(world.port) as client:
            reply = client.read(ask(world, client, case, parts))
            assert reply.status == 502
            assert reply.get("l5d-err")
            assert reply.get("via") is None
            assert 1 <= len(world.endpoint.seen) <= 2  # one that said nothing may be asked again
            asked_by = {one.connection for one in world.endpoint.seen}
            if case.get("version") != "1.0":
                world.ask_last(client)
        assert ask_again(world) not in asked_by
