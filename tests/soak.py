"""Load with faults on every side of a real proxy: `python -m tests.soak [--seconds 60]`.

Every request carries a token of its own, and so does every answer. At the end, or at once where it
is about one reply, the promises of a proxy under load are checked; status 1 when one was broken.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 (the patch comes first)
import contextlib  # noqa: E402
import json  # noqa: E402
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
import h11  # noqa: E402
from gevent import socket  # noqa: E402

from tests.kit.daemons import START_S, Daemon  # noqa: E402
from tests.kit.faults import RESET  # noqa: E402
from tests.kit.faulty import FaultyServer, reply_body, request_body  # noqa: E402
from tests.kit.k8s import wait_until  # noqa: E402
from tests.kit.wire import dial, get  # noqa: E402

ROOT = Path(__file__).parent.parent
ENDPOINTS = 4
FAULT_RATE = 0.12
ABORT_RATE = 0.05
ABORT_S = 0.1
DEADLINE_S = 8.0
"""Until the end of a reply: the proxy's total timeout, two gaps in a body, and the scheduler."""
IDLE_S = 20.0
"""For the proxy to come to rest after a round."""
SPARE_DESCRIPTORS = 20
MEMORY_GROWTH = 0.15
CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- {{kind: io.l5d.fs, rootDir: {directory}}}
routers:
- protocol: http
  label: soak
  dtab: /svc/* => /#/io.l5d.fs/endpoints ;
  service:
    totalTimeoutMs: 3000
    responseClassifier: {{kind: io.l5d.http.retryableRead5XX}}
  client:
    requestAttemptTimeoutMs: 1000
    socketOptions: {{readTimeoutMs: 1000}}
  servers:
  - {{port: 0, ip: 127.0.0.1}}
"""


@dataclass
class Soak:
    """What the clients have seen."""

    port: int
    broken: list[str] = field(default_factory=list)
    """Promises that were."""
    ends: Counter[str] = field(default_factory=Counter)
    """How requests ended."""
    answered: int = 0
    """Replies that began."""
    sent: int = 0
    """Requests of which anything was sent."""

    def client(self, dice: random.Random, until: float) -> None:
        """Send one request after the other."""
        while time.monotonic() < until:
            try:
                with dial(("127.0.0.1", self.port), timeout_s=DEADLINE_S) as sock:
                    while time.monotonic() < until and self._ask(sock, dice):
                        pass
            except (ConnectionResetError, BrokenPipeError):
                self.ends["reset"] += 1

    def _ask(self, sock: socket.socket, dice: random.Random) -> bool:
        """Send one request and judge its reply; whether the connection goes on."""
        token = f"{dice.getrandbits(64):016x}"
        method = dice.choice(["GET", "GET", "HEAD", "POST"])
        raw = _request(token, method, dice)
        self.sent += 1
        if dice.random() < ABORT_RATE:
            return self._abort(sock, raw, dice)
        sock.sendall(raw)
        started = time.monotonic()
        try:
            with gevent.Timeout(DEADLINE_S):
                goes_on = self._judge(sock, token, method)
        except gevent.Timeout:
            self.broken.append(f"{method} {token} had no end after {DEADLINE_S} s")
            return False
        if time.monotonic() - started > DEADLINE_S / 2:
            self.ends["slow"] += 1
        return goes_on and dice.random() < 0.9

    def _abort(self, sock: socket.socket, raw: bytes, dice: random.Random) -> bool:
        self.ends["aborted"] += 1
        sock.sendall(raw[: dice.randrange(1, len(raw) + 1)])
        if dice.random() < 0.5:
            sock.settimeout(ABORT_S)
            with contextlib.suppress(TimeoutError):
                sock.recv(dice.choice([1, 1000]))
        if dice.random() < 0.5:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return False

    def _judge(self, sock: socket.socket, token: str, method: str) -> bool:
        """Read a reply, which must be this token's own or the proxy's; whether one may go on."""
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        connection.send(h11.EndOfMessage())
        head: h11.Response | None = None
        body = bytearray()
        is_cut = False
        while True:
            try:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(sock.recv(65536))
                    continue
            except (h11.RemoteProtocolError, ConnectionResetError) as error:
                if head is None:
                    self.broken.append(f"{method} {token} got no reply: {error}")
                    return False
                is_cut = True
            if is_cut or isinstance(event, h11.EndOfMessage):
                break
            if isinstance(event, h11.Response):
                head = event
                self.answered += 1
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.ConnectionClosed):
                self.broken.append(f"{method} {token} got no reply")
                return False
        fields = dict(head.headers)
        if b"l5d-err" in fields:
            self.ends[f"error {head.status_code}"] += 1
        else:
            self._compare(head, bytes(body), token, method, is_cut=is_cut)
        return not is_cut and fields.get(b"connection") != b"close"

    def _compare(
        self, head: h11.Response, body: bytes, token: str, method: str, *, is_cut: bool
    ) -> None:
        expected = b"" if method == "HEAD" else reply_body(token)
        own = dict(head.headers).get(b"x-token") == token.encode()
        if not own or not expected.startswith(body) or not (is_cut or body == expected):
            self.broken.append(f"{method} {token} got another's: {head} {body[:100]!r}")
        self.ends["cut" if is_cut else f"whole {head.status_code}"] += 1


def _request(token: str, method: str, dice: random.Random) -> bytes:
    head = f"{method} /{token} HTTP/1.1\r\nHost: web\r\nX-Token: {token}\r\n".encode()
    if method != "POST":
        return head + b"\r\n"
    body = request_body(token)
    if dice.random() < 0.5:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Level:
    """What the proxy's process holds at rest."""

    descriptors: int
    memory_kb: int


class Target:
    """The proxy under test, with its endpoints."""

    def __init__(self, stack: ExitStack, seed: int) -> None:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.endpoints = [
            FaultyServer(random.Random(seed + number), FAULT_RATE) for number in range(ENDPOINTS)
        ]
        for endpoint in self.endpoints:
            stack.callback(endpoint.close)
        (directory / "endpoints").write_text(
            "".join(f"127.0.0.1 {endpoint.port}\n" for endpoint in self.endpoints)
        )
        config, log = directory / "soak.yaml.config", directory / "soak.log"
        config.write_text(CONFIG.format(directory=directory))
        command = [sys.executable, str(ROOT / "bin/meshproxy"), str(config)]
        self.daemon = stack.enter_context(Daemon(command, log))
        wait_until(lambda: "admin: http" in self.daemon.output(), START_S)
        printed = re.findall(r"http://127\.0\.0\.1:(\d+)", self.daemon.output())
        self.port, self.admin_port = map(int, printed)
        self.metrics()  # the admin server's own connections are part of the level

    def metrics(self) -> dict[str, float]:
        """Return the proxy's metrics."""
        reply = get(self.admin_port, "localhost", "/admin/metrics.json")
        metrics: dict[str, float] = json.loads(reply.body)
        return metrics

    def level(self) -> Level:
        """Return what the proxy holds now."""
        process = Path(f"/proc/{self.daemon.process.pid}")
        memory = re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())
        return Level(len(list((process / "fd").iterdir())), int(memory[1]) if memory else 0)

    def rest(self, descriptors: int) -> Level:
        """Wait for the proxy to come back to *descriptors*; what it holds then, or in the end."""
        deadline = time.monotonic() + IDLE_S
        while self.level().descriptors > descriptors and time.monotonic() < deadline:
            gevent.sleep(0.1)
        return self.level()


def check(soak: Soak, target: Target, start: Level, rounds: list[Level]) -> list[str]:
    """Return every promise that was broken."""
    broken = list(soak.broken)
    for endpoint in target.endpoints:
        broken += [f"an endpoint got {breach}" for breach in endpoint.breaches]
    posted = sum((endpoint.posted for endpoint in target.endpoints), start=Counter[str]())
    broken += [f"POST {token} was sent on {n} times" for token, n in posted.items() if n > 1]
    broken += check_levels(start, rounds)
    if target.daemon.process.poll() is not None:
        broken.append("the proxy has ended")
    return broken + check_counters(target.metrics(), soak, target)


def check_levels(start: Level, rounds: list[Level]) -> list[str]:
    """Return what has grown."""
    broken = [
        f"{level.descriptors} descriptors at rest, {start.descriptors} at first"
        for level in rounds
        if level.descriptors > start.descriptors + SPARE_DESCRIPTORS
    ]
    if rounds[1].memory_kb > rounds[0].memory_kb * (1 + MEMORY_GROWTH):
        broken.append(f"memory grew from {rounds[0].memory_kb} to {rounds[1].memory_kb} KB")
    return broken


def check_counters(metrics: dict[str, float], soak: Soak, target: Target) -> list[str]:
    """Return what does not add up, at rest."""
    server = _below(metrics, "rt/soak/server/127.0.0.1/0/")
    client = _below(metrics, "rt/soak/client/#/io.l5d.fs/endpoints/")
    whole = sum(endpoint.whole for endpoint in target.endpoints)
    again = client.get("stale_connections", 0)  # sent twice in one attempt, maybe whole twice
    holding = [
        *sums("server", server),
        *sums("client", client),
        ("replies, server requests", soak.answered <= server["requests"] <= soak.sent),
        ("requests at endpoints, client requests", whole <= client["requests"] + again),
        ("internal errors", not server.get("failures/internal")),
    ]
    return [f"does not add up: {what}" for what, holds in holding if not holds]


def _below(metrics: dict[str, float], scope: str) -> dict[str, float]:
    return {name.removeprefix(scope): value for name, value in metrics.items() if scope in name}


def sums(side: str, metrics: dict[str, float]) -> list[tuple[str, bool]]:
    """Return what must add up at rest in the *metrics* of one *side*, and whether it does."""
    get_ = metrics.get
    return [
        (f"{side} requests", get_("requests") == get_("success", 0) + get_("failures", 0)),
        (f"{side} pending", get_("pending", 0) == 0),
        (
            f"{side} connections",
            get_("connects", 0) - get_("closes", 0) == get_("connections", 0),
        ),
    ]


def main() -> int:
    """Run two rounds, and say what was seen and what was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    limit = options.seconds + 2 * (IDLE_S + DEADLINE_S) + START_S
    with ExitStack() as stack, gevent.Timeout(limit, AssertionError(f"no end within {limit} s")):
        target = Target(stack, options.seed)
        start = target.level()
        soak = Soak(target.port)
        rounds = []
        for number in range(2):
            until = time.monotonic() + options.seconds / 2
            dice = [random.Random(f"{options.seed} {number} {n}") for n in range(options.clients)]
            clients = [gevent.spawn(soak.client, one, until) for one in dice]
            gevent.joinall(clients, raise_error=True)
            rounds.append(target.rest(start.descriptors + SPARE_DESCRIPTORS // 2))
        broken = check(soak, target, start, rounds)
        log = target.daemon.output()
    faults = sum((endpoint.faults for endpoint in target.endpoints), start=Counter[str]())
    print(f"seed {options.seed}: {soak.sent} requests in {options.seconds:g} s")
    print(f"ends: {dict(soak.ends.most_common())}")
    print(f"faults: {dict(faults.most_common())}")
    print(f"at first {start}, after each round {rounds}")
    for promise in broken[:20]:
        print(f"BROKEN: {promise}")
    if broken:
        print(log[-4000:])
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
