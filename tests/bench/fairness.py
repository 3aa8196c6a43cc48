"""What greedy clients cost a polite one, and what becomes of requests over the limit."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from time import monotonic
from typing import Final, NamedTuple

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer

from tests.bench import configs
from tests.bench.growth import Config, running
from tests.bench.load import HOST, beside, measure
from tests.bench.scenarios import Scenario
from tests.bench.world import World

GREEDY: Final = {
    "1 MB bodies": Scenario(path="/post", connections=1, sent=1_048_576),
    "1000 pipelined requests": Scenario(connections=1, pipelined=1000),
}
FAIRNESS_GOAL: Final = 3.0
"""Times that the median of a polite client may rise by."""
REFUSAL_GOAL_MS: Final = 10.0
"""Of 99 % of the refused: the last ones tell about the machine, on which this client waits too."""
GOODPUT_GOAL: Final = 0.98
"""Of twice the load to the load: not lower, but for what two runs differ by."""

LIMIT: Final = 20
"""maxConcurrentRequests."""
TAKES_S: Final = 0.05
"""What the endpoint takes for each answer, so that LIMIT / TAKES_S is all that can be served."""
OFFERED_PER_S: Final = 2 * LIMIT / TAKES_S
_POLITE: Final = Scenario(connections=1)
_ASKED: Final = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Answered(NamedTuple):
    """The end of one request."""

    status: int
    ms: float


class Overload(NamedTuple):
    """What a load beyond the limit came to."""

    offered_per_s: float
    goodput_per_s: float
    all_refused_ms: list[float]
    """How long each 503 took, sorted."""

    def refused_ms(self, share: float) -> float:
        """Return how long this *share* of the 503s took at most."""
        return self.all_refused_ms[math.ceil(share * len(self.all_refused_ms)) - 1]


class Run(NamedTuple):
    """One repetition."""

    polite_ms: dict[str, float]
    """The median latency of a client that asks one thing at a time: alone, and beside each."""
    overloads: tuple[Overload, Overload]
    """By a load beyond the limit, and by twice that load."""


def compare(world: World, seconds: int) -> Run:
    """Measure all of it once, for *seconds* each."""
    once, twice = (overload(world, times * OFFERED_PER_S, seconds) for times in (1, 2))
    return Run(polite_ms(world, seconds), (once, twice))


def polite_ms(world: World, seconds: int) -> dict[str, float]:
    """Return the median latency of a client that asks one thing at a time: alone, and beside."""
    with running(world, configs.meshproxy) as proxy:
        found = {"alone": measure(proxy, world, _POLITE, seconds).p50_ms}
        for name, greedy in GREEDY.items():
            with beside(proxy, world, greedy):
                found[name] = measure(proxy, world, _POLITE, seconds).p50_ms
    return found


def overload(world: World, offered_per_s: float, seconds: float) -> Overload:
    """Offer so many requests a second, whatever becomes of them, to a proxy with a LIMIT."""
    with slow_endpoint() as port, running(world, limited(port)) as proxy:
        offer(proxy.port, offered_per_s, 0.5)
        began = monotonic()
        answers = offer(proxy.port, offered_per_s, seconds)
        took_s = monotonic() - began
    statuses = {one.status for one in answers}
    assert statuses == {200, 503}, f"answered with {statuses}"
    served = sum(one.status == 200 for one in answers)
    refused = sorted(one.ms for one in answers if one.status == 503)
    return Overload(offered_per_s, served / took_s, refused)


def limited(port: int) -> Config:
    """Serve LIMIT requests at once, from the endpoint at *port*."""

    def config(world: World, own_port: int, over_tls: bool) -> str:
        text = configs.meshproxy(world, own_port, over_tls)
        text = text.replace(f"/$/inet/127.0.0.1/{world.port}", f"/$/inet/127.0.0.1/{port}")
        server = f"  - port: {own_port}\n"
        return text.replace(server, f"{server}    maxConcurrentRequests: {LIMIT}\n")

    return config


@contextmanager
def slow_endpoint() -> Iterator[int]:
    """Serve empty answers after TAKES_S each; gives the port."""

    def serve(sock: socket.socket, _: object) -> None:
        with sock:
            while sock.recv(65536):
                gevent.sleep(TAKES_S)
                sock.sendall(_ANSWER)

    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    try:
        yield server.server_port
    finally:
        server.stop(timeout=0)


def offer(port: int, per_s: float, seconds: float) -> list[Answered]:
    """Send a request every 1/*per_s* on an idle connection, or a new one; return all answers."""
    idle: list[socket.socket] = []
    answers: list[Answered] = []
    pool, began = Pool(), monotonic()

    def ask() -> None:
        sock = idle.pop() if idle else socket.create_connection(("127.0.0.1", port), 20)
        asked_at, answer = monotonic(), b""
        sock.sendall(_ASKED)
        while not _is_whole(answer):
            piece = sock.recv(4096)
            assert piece, f"closed after {answer!r}"
            answer += piece
        answers.append(Answered(int(answer[9:12]), (monotonic() - asked_at) * 1000))
        idle.append(sock)

    for number in range(int(per_s * seconds)):
        gevent.sleep(max(0, began + number / per_s - monotonic()))
        pool.spawn(ask)
    pool.join(raise_error=True)
    for sock in idle:
        sock.close()
    return answers


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length: ")
    return bool(end) and len(body) == int(length.split(b"\r")[0])


def markdown(runs: Sequence[Run]) -> str:
    """Return a table of the medians of *runs*."""
    rows = []
    alone = median(run.polite_ms["alone"] for run in runs)
    for name in GREEDY:
        ms = median(run.polite_ms[name] for run in runs)
        times = median(run.polite_ms[name] / run.polite_ms["alone"] for run in runs)
        what = f"median of a client beside {name}, {alone:.2f} ms alone"
        figure = f"{ms:.2f} ms, {times:.2f} times"
        rows.append((what, figure, f"{FAIRNESS_GOAL:.0f} times", times <= FAIRNESS_GOAL))
    for ones in zip(*(run.overloads for run in runs), strict=True):
        half, most, worst = (median(one.refused_ms(at) for one in ones) for at in (0.5, 0.99, 1))
        what = f"503 over the limit, {ones[0].offered_per_s:,.0f} requests/s offered"
        figure = f"median {half:.2f} ms, 99 % {most:.2f} ms, worst {worst:.2f} ms"
        rows.append((what, figure, f"99 % {REFUSAL_GOAL_MS:.0f} ms", most <= REFUSAL_GOAL_MS))
    once, twice = (median(run.overloads[at].goodput_per_s for run in runs) for at in (0, 1))
    kept = median(run.overloads[1].goodput_per_s / run.overloads[0].goodput_per_s for run in runs)
    figure = f"{once:.0f}/s, then {twice:.0f}/s, {kept:.2f} times"
    rows.append(("goodput when that load doubles", figure, "not lower", kept >= GOODPUT_GOAL))
    lines = ["", "| fairness and overload | figure | goal | reached |", "| --- | --- | --- | --- |"]
    lines += [f"| {a} | {b} | {c} | {'yes' if d else 'missed'} |" for a, b, c, d in rows]
    return "\n".join(lines) + "\n"
