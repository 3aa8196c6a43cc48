"""A worker as its supervisor sees it: a process, and a channel to it."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, Literal

from gevent.event import Event
from gevent.subprocess import DEVNULL, Popen, TimeoutExpired

from meshproxy.net.channel import Channel
from meshproxy.runtime.addresses import Ports

SILENT_S: Final = 3
"""A worker that has not said anything for so long is shown as silent; it reports each second."""
HUNG_S: Final = 30
"""After so long it is killed, and replaced."""
_END_S: Final = 5.0

State = Literal["starting", "serving", "draining", "silent"]


class WorkerProcess:
    """Worker *number*: started by the constructor, which raises OSError if that cannot be."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.started_at = time.monotonic()
        self.served_at: float | None = None
        self.is_draining = False
        self._silent_s = 0
        self._asked = self._answered = 0
        self._heard = Event()
        self.channel, theirs = Channel.pair()
        with theirs:
            self._process = Popen(_command(theirs.fileno(), number), **_surroundings(theirs))
        self.pid: int = self._process.pid

    @property
    def state(self) -> State:
        """What it does, as far as is known."""
        if self._silent_s >= SILENT_S:
            return "silent"
        if self.is_draining:
            return "draining"
        return "starting" if self.served_at is None else "serving"

    def begin(self, text: str, name: str, ports: Ports) -> None:
        """Tell it what to serve."""
        self.channel.send("start", text, name, asdict(ports))

    def drain(self, grace_seconds: float | None) -> None:
        """Tell it to finish running requests and to end."""
        self.is_draining = True
        self.channel.send("drain", grace_seconds)

    def receive(self) -> list[Any] | None:
        """Return what it says next, None when it says no more."""
        message = self.channel.receive()
        self._silent_s = 0
        match message:
            case ["serving"]:
                self.served_at = time.monotonic()
            case ["reported", int(number)]:
                self._answered = number
                self._heard.set()
            case None:
                self._answered = sys.maxsize
                self._heard.set()
        return message

    def ask(self) -> int:
        """Ask for a report now; the number that `wait` takes."""
        self._asked += 1
        if self._silent_s < SILENT_S:
            self.channel.send("report", self._asked)
        return self._asked

    def wait(self, number: int, seconds: float) -> None:
        """Wait until the report *number* has come, for at most *seconds*."""
        deadline = time.monotonic() + seconds
        while self._answered < number and (left := deadline - time.monotonic()) > 0:
            self._heard.clear()
            self._heard.wait(left)

    def watch(self) -> bool:
        """Count a second of silence; False when there have been too many."""
        self._silent_s += 1
        return self._silent_s < HUNG_S

    def kill(self) -> None:
        """End it at once."""
        self._process.send_signal(signal.SIGKILL)

    def end(self) -> int:
        """Wait for its end, but not long; its exit status, negative when a signal ended it."""
        self.channel.close()
        try:
            status: int = self._process.wait(_END_S)
        except TimeoutExpired:
            self.kill()
            status = self._process.wait()
        return status

    def served_seconds(self) -> float:
        """How long it has served."""
        return 0.0 if self.served_at is None else time.monotonic() - self.served_at


def _command(descriptor: int, number: int) -> list[str]:
    """This interpreter, patched before anything else is imported, as for `python -m meshproxy`."""
    module = ["-m", "gevent.monkey", "--module", "meshproxy.runtime.worker"]
    return [sys.executable, "-P", *module, str(descriptor), str(number)]


def _surroundings(theirs: Any) -> Mapping[str, Any]:
    """It imports from where we do, and signals to our process group are not for it."""
    return {
        "pass_fds": [theirs.fileno()],
        "stdin": DEVNULL,
        "env": os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        "process_group": 0,
    }
