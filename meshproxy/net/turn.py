"""Sends what one turn of the loop produced together, at its end.

A busy turn serves many connections one after the other. A peer that is sent something after each
of them wakes up and falls asleep every time, at our cost; sent everything at once, it wakes up
once, and the code of the turn and that of the kernel stay in the processor's caches. How much this
saves is in docs/performance.md and docs/adr/0008.
"""

from collections.abc import Generator
from typing import Any, Final, Protocol

import gevent

_AT_ONCE: Final = 1e-9
"""Seconds; already past when the loop checks, so that it does not sleep."""


def next_turn() -> None:
    """Continues in the next turn of the loop, so that other sockets are served first.

    `gevent.sleep(0)` only lets other callbacks run: the loop may not poll sockets for a while.
    """
    gevent.sleep(_AT_ONCE)


def in_turns(steps: Generator[None, None, None]) -> None:
    """Takes one of *steps* in each turn of the loop, from the next on; closing them ends this."""
    gevent.spawn(_take, steps)


def _take(steps: Generator[None, None, None]) -> None:
    next_turn()
    for _ in steps:
        next_turn()


class Unsent(Exception):
    """The socket did not accept all that was queued; *rest* is left.

    If *begun*, part of it may have reached the peer.
    """

    def __init__(self, rest: bytes, *, begun: bool) -> None:
        super().__init__(rest)
        self.rest = rest
        self.begun = begun


class Queued(Protocol):
    """What has data to send at the end of a turn."""

    def send_queued(self) -> None:
        """Sends it; must not raise."""
        ...


turn: list[Queued] = []
"""What is to be sent at the end of this turn; at most one entry for each connection."""


def at_end_of_turn(loop: Any, sender: Queued) -> None:
    """Calls `send_queued` of *sender* at the end of this loop turn; it must not be queued yet."""
    if not turn:
        loop.run_callback(_end_turn)
    turn.append(sender)


def _end_turn() -> None:
    senders = turn[:]
    turn.clear()
    for sender in senders:
        sender.send_queued()
