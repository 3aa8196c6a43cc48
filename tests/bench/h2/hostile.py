"""What a whole attack of a hostile client costs: `python -m tests.bench.h2.hostile [REPETITIONS]`.

Each attack has a connection of its own; CPU time is that of the whole process, from before the
connection until after its end. Prints a table of medians.
"""

import socket
import statistics
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from meshproxy.h2 import frames
from tests.bench.h2.__main__ import ENVOY, OURS
from tests.bench.h2.client import Client
from tests.bench.h2.world import H2World
from tests.bench.proxies import Running
from tests.kit.h2 import SETTINGS
from tests.kit.hostile import ATTACKS

HELLO: Final = frames.PREFACE + SETTINGS
_SETTLE_S: Final = 0.3
_EACH: Final = 3
"""Times that one process suffers each: what it reports now and then falls into some of them."""


def main(repetitions: int) -> None:
    """Measure both proxies in turn, and print what each attack cost."""
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as home, H2World(Path(home) / "www") as world:
        for _ in range(repetitions):
            for proxy in (OURS, ENVOY):
                with Running(proxy, world) as running:
                    _ask(running, 200)
                    for name, attack in ATTACKS.items():
                        costs = found.setdefault((name, proxy.name), [])
                        costs += (cost_ms(running, HELLO + attack()) for _ in range(_EACH))
    print("| attack | meshproxy | envoy |", "| --- | --- | --- |", sep="\n")
    for name in ATTACKS:
        costs = (statistics.median(found[name, proxy.name]) for proxy in (OURS, ENVOY))
        print(f"| {name} |", " | ".join(f"{cost:.1f}" for cost in costs), "|")


def cost_ms(running: Running, sent: bytes) -> float:
    """Return the milliseconds of CPU that *sent* and its end cost."""
    before = _ran_ns(running.pids)
    with closing(socket.create_connection(("127.0.0.1", running.port), 30)) as sock:
        with suppress(OSError):
            sock.settimeout(5)
            sock.sendall(sent)
        with suppress(OSError):
            while sock.recv(65536):
                pass
    time.sleep(_SETTLE_S)
    return (_ran_ns(running.pids) - before) / 1e6


def _ran_ns(pids: list[int]) -> int:
    """Return the nanoseconds that all threads of *pids* have run."""
    tasks = (task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def _ask(running: Running, count: int) -> None:
    """Have *count* requests answered, so that nothing is done for the first time."""
    with closing(Client(running.port)) as client:
        for _ in range(count):
            client.send(client.request())
            next(client.ended())


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 3)
