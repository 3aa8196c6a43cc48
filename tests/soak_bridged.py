"""Load with faults, both protocols on both sides: `python -m tests.soak_bridged [--seconds 60]`.

Four routers join two protocols of clients with two of endpoints. The promises are those of
`tests.soak`; status 1 when one was broken.
"""

from gevent import monkey

from tests.kit.wire import dial

monkey.patch_all()

import argparse  # noqa: E402 (the patch comes first)
import contextlib  # noqa: E402
import random  # noqa: E402
import re  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections import Counter  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
from h2.errors import ErrorCodes  # noqa: E402
from h2.events import (  # noqa: E402
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from tests import soak  # noqa: E402
from tests.kit.daemons import START_S, Daemon  # noqa: E402
from tests.kit.faulty import FaultyServer, reply_body, request_body  # noqa: E402
from tests.kit.faulty_h2 import FaultyH2Server  # noqa: E402
from tests.kit.h2_wire import H2Wire  # noqa: E402
from tests.kit.k8s import wait_until  # noqa: E402

ENDPOINTS = 2
"""Of each protocol."""
MOST_AT_ONCE = 6
READ_LATE_S = 0.3
DEATH_EVERY_S = 2.0
ROUTERS = {
    "h1h1": ("http", "http"),
    "h1h2": ("http", "h2"),
    "h2h1": ("h2", "http"),
    "h2h2": ("h2", "h2"),
}
"""By label: the protocol of clients and of endpoints."""
HEAD = """
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- {{kind: io.l5d.fs, rootDir: {directory}}}
routers:
"""
ROUTER = """
- protocol: {server}
  label: {label}
  dtab: /svc/* => /#/io.l5d.fs/{client} ;
  service:
    totalTimeoutMs: 3000
    responseClassifier: {{kind: {classifier}}}
  client:
    protocol: {client}
    requestAttemptTimeoutMs: 1000
    socketOptions: {{readTimeoutMs: 1000}}
  servers:
  - {{port: 0, ip: 127.0.0.1}}
"""
CLASSIFIERS = {"http": "io.l5d.http.retryableRead5XX", "h2": "io.l5d.h2.retryableRead5XX"}


@dataclass
class Exchange:
    """What one stream has brought."""

    token: str
    method: str
    head: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    end: str = ""


@dataclass
class H2Soak:
    """What clients of HTTP/2 have seen."""

    port: int
    broken: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    def client(self, dice: random.Random, until: float) -> None:
        """Send some requests at once, read their responses, and so on."""
        while time.monotonic() < until:
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                sock = dial(("127.0.0.1", self.port))
                with sock:
                    wire = H2Wire(sock)
                    while time.monotonic() < until and self._batch(wire, dice):
                        pass

    def _batch(self, wire: H2Wire, dice: random.Random) -> bool:
        asked = dict(self._ask(wire, dice) for _ in range(dice.randint(1, MOST_AT_ONCE)))
        if dice.random() < soak.ABORT_RATE / 2:
            self.ends["connection aborted"] += len(asked)
            return False
        if dice.random() < soak.ABORT_RATE:
            stream_id = dice.choice(list(asked))
            asked.pop(stream_id)
            wire.h2.reset_stream(stream_id, ErrorCodes.CANCEL)
            wire.flush()
            self.ends["reset by the client"] += 1
        if dice.random() < soak.ABORT_RATE:
            gevent.sleep(READ_LATE_S)
        try:
            with gevent.Timeout(soak.DEADLINE_S):
                self._read(wire, asked)
        except gevent.Timeout:
            late = [one for one in asked.values() if not one.end]
            self.broken += [f"{one.method} {one.token} had no end in time" for one in late]
            return False
        for exchange in asked.values():
            self._judge(exchange)
        return dice.random() < 0.95

    def _ask(self, wire: H2Wire, dice: random.Random) -> tuple[int, Exchange]:
        token = f"{dice.getrandbits(64):016x}"
        method = dice.choice(["GET", "GET", "HEAD", "POST"])
        body = request_body(token) if method == "POST" else None
        room = wire.h2.remote_settings.initial_window_size
        if body is not None and len(body) > min(room, wire.h2.outbound_flow_control_window):
            method, body = "GET", None
        fields = (
            (":method", method), (":scheme", "http"), (":authority", "web"),
            (":path", f"/{token}"), ("x-token", token),
        )  # fmt: skip
        self.sent += 1
        return wire.ask(fields, body), Exchange(token, method)

    def _read(self, wire: H2Wire, asked: dict[int, Exchange]) -> None:
        """Read until each stream has an end."""
        left = len(asked)
        events = wire.events()
        while left:
            event = next(events, None)
            if event is None:
                self.broken.append(f"the connection was closed before {left} responses")
                raise ConnectionResetError
            exchange = asked.get(getattr(event, "stream_id", None) or 0)
            if isinstance(event, DataReceived):
                wire.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                wire.flush()
            if exchange is not None and not exchange.end:
                self._take(exchange, event)
                left -= bool(exchange.end)

    def _take(self, exchange: Exchange, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            exchange.head = {str(name): str(value) for name, value in event.headers}
        elif isinstance(event, DataReceived):
            exchange.body += event.data
        elif isinstance(event, TrailersReceived):
            ended = dict(event.headers).get("x-end", exchange.token)
            if ended != exchange.token:
                self.broken.append(f"{exchange.token} got the trailers of {ended}")
        elif isinstance(event, StreamReset):
            exchange.end = "reset"
        elif isinstance(event, StreamEnded):
            exchange.end = "whole"

    def _judge(self, one: Exchange) -> None:
        """Compare a response, which must be this token's own or the proxy's."""
        self.ends[f"{one.end} {one.head.get(':status', '-')}"] += 1
        if not one.head:
            return
        if "l5d-err" in one.head:
            self.ends[f"error {one.head[':status']}"] += 1
            return
        expected = b"" if one.method == "HEAD" else reply_body(one.token)
        is_right = expected == one.body if one.end == "whole" else expected.startswith(one.body)
        if one.head.get("x-token") != one.token or not is_right:
            self.broken.append(
                f"{one.method} {one.token} got another's, {one.end}: {one.head} "
                f"{bytes(one.body[:100])!r}"
            )


class Target(soak.Target):
    """The proxy under test, with endpoints of both protocols."""

    def __init__(self, stack: ExitStack, seed: int) -> None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dice = [random.Random(seed + number) for number in range(2 * ENDPOINTS)]
        self.endpoints = [FaultyServer(one, soak.FAULT_RATE) for one in dice[:ENDPOINTS]]
        self.h2 = [FaultyH2Server(one, soak.FAULT_RATE) for one in dice[ENDPOINTS:]]
        for name, endpoints in (("http", self.endpoints), ("h2", self.h2)):
            for endpoint in endpoints:
                stack.callback(endpoint.close)
            lines = [f"127.0.0.1 {endpoint.port}\n" for endpoint in endpoints]
            (directory / name).write_text("".join(lines))
        config, log = directory / "soak.yaml.config", directory / "soak.log"
        config.write_text(
            HEAD.format(directory=directory)
            + "".join(
                ROUTER.format(
                    label=label, server=server, client=client, classifier=CLASSIFIERS[server]
                )
                for label, (server, client) in ROUTERS.items()
            )
        )
        command = [sys.executable, str(soak.ROOT / "bin/meshproxy"), str(config)]
        self.daemon = stack.enter_context(Daemon(command, log))
        wait_until(lambda: "admin: http" in self.daemon.output(), START_S)
        printed = re.findall(r"http://127\.0\.0\.1:(\d+)", self.daemon.output())
        *ports, self.admin_port = map(int, printed)
        self.ports = dict(zip(ROUTERS, ports, strict=True))
        self.metrics()  # the admin server's own connections are part of the level

    def kill_some(self, dice: random.Random, until: float) -> None:
        """Let an endpoint die now and then."""
        while time.monotonic() + DEATH_EVERY_S < until:
            gevent.sleep(DEATH_EVERY_S)
            dice.choice(self.h2).die()


def check(
    target: Target,
    soaks: dict[str, soak.Soak | H2Soak],
    start: soak.Level,
    rounds: list[soak.Level],
) -> list[str]:
    """Return every promise that was broken."""
    broken = [f"{label}: {one}" for label, each in soaks.items() for one in each.broken]
    posted = Counter[str]()
    for endpoint in (*target.endpoints, *target.h2):
        broken += [f"an endpoint got {breach}" for breach in endpoint.breaches]
        posted += endpoint.posted
    broken += [f"POST {token} was sent on {n} times" for token, n in posted.items() if n > 1]
    broken += soak.check_levels(start, rounds)
    if target.daemon.process.poll() is not None:
        return [*broken, "the proxy has ended"]
    metrics = target.metrics()
    for label in ROUTERS:
        for side, scope in (("server", "server/127.0.0.1/0/"), ("client", "client/#/io.l5d.fs/")):
            found = {
                re.sub("^(http|h2)/", "", name.removeprefix(f"rt/{label}/{scope}")): value
                for name, value in metrics.items()
                if name.startswith(f"rt/{label}/{scope}")
            }
            broken += [
                f"{label}: does not add up: {what}"
                for what, holds in soak.sums(side, found)
                if not holds
            ]
            if found.get("open_streams", 0) or found.get("failures/internal", 0):
                broken.append(
                    f"{label}: {side}: streams that are open, or internal errors: {found}"
                )
    return broken


def main() -> int:
    """Run two rounds, and say what was seen and what was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak_bridged", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=8, help="of each router")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    limit = options.seconds + 2 * (soak.IDLE_S + soak.DEADLINE_S) + START_S
    with ExitStack() as stack, gevent.Timeout(limit, AssertionError(f"no end within {limit} s")):
        target = Target(stack, options.seed)
        start = target.level()
        soaks: dict[str, soak.Soak | H2Soak] = {
            label: soak.Soak(target.ports[label])
            if server == "http"
            else H2Soak(target.ports[label])
            for label, (server, _) in ROUTERS.items()
        }
        rounds = []
        for number in range(2):
            until = time.monotonic() + options.seconds / 2
            clients = [gevent.spawn(target.kill_some, random.Random(number), until)]
            for label, each in soaks.items():
                for n in range(options.clients):
                    dice = random.Random(f"{options.seed} {number} {label} {n}")
                    clients.append(gevent.spawn(each.client, dice, until))
            gevent.joinall(clients, raise_error=True)
            rounds.append(target.rest(start.descriptors + soak.SPARE_DESCRIPTORS // 2))
        broken = check(target, soaks, start, rounds)
        log = target.daemon.output()
    print(f"seed {options.seed}: {options.seconds:g} s")
    for label, each in soaks.items():
        print(f"{label}: {each.sent} requests; ends: {dict(each.ends.most_common())}")
    faults = sum((one.faults for one in (*target.endpoints, *target.h2)), start=Counter[str]())
    print(f"faults: {dict(faults.most_common())}")
    print(f"at first {start}, after each round {rounds}")
    for promise in broken[:20]:
        print(f"BROKEN: {promise}")
    if broken:
        print(log[-4000:])
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
