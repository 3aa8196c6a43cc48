"""A worker seen from its supervisor: a process and a channel to it."""

import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Literal

from gevent.event import AsyncResult, Event
from gevent.socket import socket
from gevent.subprocess import DEVNULL, Popen, TimeoutExpired
from gevent.timeout import Timeout

from meshproxy.net.channel import Channel
from meshproxy.runtime import patched, worker
from meshproxy.runtime.listen_addresses import Address
from meshproxy.runtime.process_log import levels, settings
from meshproxy.runtime.questions import Questions

SILENT_S: Final = 3
"""A worker that has sent nothing for this long is shown as silent; it reports each second."""
HUNG_S: Final = 30
"""A worker that has sent nothing for this long is killed and replaced."""
_RELOAD_S: Final = 10.0
_END_S: Final = 5.0

State = Literal["starting", "serving", "draining", "silent"]


class WorkerProcess:
    """Worker *number*, which serves *config*, as `worker_config` has it.

    It also accepts from the sockets *listening*. Starts the process; raises OSError if it cannot.
    """

    def __init__(
        self, number: int, config: Mapping[str, Any], listening: Mapping[Address, socket]
    ) -> None:
        self.number = number
        self.why_not_ready: str | None = "starting"
        self._started_at = time.monotonic()
        self._served_at: float | None = None
        self._is_draining = False
        self._silent_s = 0
        self._asked = self._answered = 0
        self._has_answered = Event()
        self._reloads: deque[AsyncResult[str | None]] = deque()
        """Pending answers to reloads, in order."""
        self._channel, theirs = Channel.pair()
        self.questions = Questions(self._channel.send)
        with theirs:
            descriptors = [theirs.fileno(), *(sock.fileno() for sock in listening.values())]
            self._process = Popen(
                _command(theirs.fileno(), number),
                stdin=DEVNULL,
                pass_fds=descriptors,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
                process_group=0,  # signals to our group are passed on by us
            )
        self.pid: int = self._process.pid
        shared = [(ip, port, sock.fileno()) for (ip, port), sock in listening.items()]
        self._channel.send("start", config, shared, levels())

    @property
    def state(self) -> State:
        """What it is doing, as far as known."""
        if self._silent_s >= SILENT_S:
            return "silent"
        if self._is_draining:
            return "draining"
        return "starting" if self._served_at is None else "serving"

    @property
    def has_served(self) -> bool:
        """True if it has ever begun to serve."""
        return self._served_at is not None

    @property
    def served_s(self) -> float:
        """Seconds since it began to serve."""
        return 0.0 if self._served_at is None else time.monotonic() - self._served_at

    def receive(self) -> list[Any] | None:
        """Returns its next message; None if there are no more."""
        message = self._channel.receive()
        self._silent_s = 0
        match message:
            case ["serving"]:
                self._served_at = time.monotonic()
            case ["reported", int(number), why_not_ready]:
                self._answered, self.why_not_ready = number, why_not_ready
                self._has_answered.set()
            case ["answer", int(number), int(status), *rest]:
                self.questions.take(number, status, *map(str, rest))
            case ["reloaded", why_not] if self._reloads:
                self._reloads.popleft().set(why_not)
            case None:
                self._answered = sys.maxsize
                self._has_answered.set()
                self.questions.close()
                for reloaded in self._reloads:
                    reloaded.set("it has ended")
        return message

    def ask(self) -> int:
        """Asks for a report. Returns the number for `wait`."""
        self._asked += 1
        self._channel.send("report", self._asked)
        return self._asked

    def wait(self, number: int, seconds: float) -> None:
        """Waits until the report *number* has arrived, at most *seconds*."""
        deadline = time.monotonic() + seconds
        while self._answered < number and (left := deadline - time.monotonic()) > 0:
            self._has_answered.clear()
            self._has_answered.wait(left)

    def reload(self, config: Mapping[str, Any]) -> str | None:
        """Makes it serve *config*. Returns None, or why it does not; kills it if it is silent."""
        reloaded: AsyncResult[str | None] = AsyncResult()
        self._reloads.append(reloaded)
        if not self._channel.send("reload", config):
            return "it has ended"
        try:
            why_not: str | None = reloaded.get(timeout=_RELOAD_S)
        except Timeout:
            self.kill()
            return f"it does not answer within {_RELOAD_S:g} s"
        return why_not

    def watch(self) -> None:
        """Has it tell every request that ends within some seconds."""
        self._channel.send("watch")

    def reopen_logs(self) -> None:
        """Makes it reopen its logs."""
        self._channel.send("reopen")

    def drain(self, grace_seconds: float | None) -> None:
        """Lets it finish running requests and end; kills it at once if it never began to serve."""
        if not self.has_served:
            self.kill()
        self._is_draining = True
        self._channel.send("drain", grace_seconds)

    def is_hung(self) -> bool:
        """Counts a second of silence. Returns True if there were too many."""
        self._silent_s += 1
        return self._silent_s >= HUNG_S

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def end(self) -> int:
        """Waits briefly for its end. Returns the exit status, negative if a signal ended it."""
        self._channel.close()
        try:
            status: int = self._process.wait(_END_S)
        except TimeoutExpired:
            self.kill()
            status = self._process.wait()
        return status

    def describe(self) -> dict[str, Any]:
        """Returns its state for an operator."""
        return {
            "worker": self.number,
            "pid": self.pid,
            "state": self.state,
            "uptime": round((time.monotonic() - self._started_at) * 1000),
        }


def _command(descriptor: int, number: int) -> list[str]:
    """Returns the command: this interpreter, patched before any import, logging as we do."""
    module = ["-m", patched.__name__, worker.__name__]
    return [sys.executable, "-P", *module, str(descriptor), str(number), *settings()]
