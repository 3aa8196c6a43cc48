"""Messages changed at random, several in a row, through a whole proxy: nothing is ever smuggled."""

import os
import random
import re
from collections.abc import Iterator

import h11
import pytest

from tests.e2e.test_wire_requests import CONFIG, World, send
from tests.fuzz.corpus import seeds
from tests.fuzz.test_fuzz import ODD
from tests.kit.proxy import Proxy
from tests.kit.recorder import Raw, Recorder
from tests.kit.wire import CutShort, Reply, WireClient

COUNT = 300
"""Of each kind; every run but those of CI has a seed of its own, which a failure shows."""
TOLD_APART = re.compile(b"HEAD|CONNECT").search
"""Who reads the replies must know these requests from the others, broken or not."""
CHANGES = [b"", *(odd for odd in ODD if odd != b"HEAD")]
pytestmark = pytest.mark.world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Recorder() as endpoint, Proxy(CONFIG.format(port=endpoint.port)) as proxy:
        yield World(proxy.port(), endpoint)


@pytest.fixture
def dice() -> random.Random:
    seed = 1 if os.environ.get("MESHPROXY_CI") else random.randrange(1 << 30)
    print(f"seed {seed}")
    return random.Random(seed)


def mutant(dice: random.Random, raws: list[bytes]) -> bytes:
    raw = dice.choice(raws)
    for _ in range(dice.randrange(4)):
        at = dice.randrange(len(raw) + 1)
        raw = raw[:at] + dice.choice(CHANGES) + raw[at + dice.choice([0, 0, 1, 2, 8]) :]
    return raw


def parts_of(raw: bytes, dice: random.Random) -> list[bytes]:
    at = dice.randrange(len(raw) + 1)
    return [part for part in (raw[:at], raw[at:]) if part]


def replies(client: WireClient) -> list[Reply]:
    """Read every reply until the end."""
    got: list[Reply] = []
    while True:
        try:
            got.append(client.read())
        except CutShort:
            return got


def test_every_reply_belongs_to_one_request_that_arrived(world: World, dice: random.Random) -> None:
    raws = [raw for raw in seeds("request") if len(raw) < 2000 and not TOLD_APART(raw)]
    for _ in range(COUNT):
        raw = b"".join(mutant(dice, raws) for _ in range(dice.randrange(1, 4)))
        world.endpoint.forget()
        with WireClient(world.port) as client:
            try:
                send(client, parts_of(raw, dice))
                client.sock.shutdown(1)
                got = replies(client)
            except (OSError, h11.RemoteProtocolError) as error:
                pytest.fail(f"{raw!r}: {error!r}")
        echoes = [reply for reply in got if not reply.get("l5d-err")]
        assert world.endpoint.breaches == [], raw
        assert len(got) - len(echoes) <= 1, raw
        assert [reply.status for reply in echoes] == [200] * len(world.endpoint.seen), raw
        for reply, line in zip(echoes, world.endpoint.lines, strict=True):
            assert reply.body == line.encode("latin-1"), raw
        with WireClient(world.port) as client:
            world.ask_last(client)


def test_no_response_is_given_to_another_request(world: World, dice: random.Random) -> None:
    raws = [raw[1:] for raw in seeds("response") if len(raw) < 2000]
    for _ in range(COUNT):
        raw = mutant(dice, raws)
        end = dice.choice(["close", "close", "reset"])
        world.endpoint.forget()
        world.endpoint.scripts["/case"] = Raw(parts_of(raw, dice), end)
        with WireClient(world.port) as client:
            client.send(b"GET /case HTTP/1.1\r\nHost: a\r\n\r\n")
            try:
                status = client.read().status
            except (CutShort, ConnectionResetError, h11.RemoteProtocolError):
                status = None
            assert status == 502 or raw.startswith(b"HTTP/1."), raw
        world.endpoint.settle()
        with WireClient(world.port) as client:
            world.ask_last(client)
