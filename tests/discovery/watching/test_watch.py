"""What a watch makes of its rounds: the last good value, backoffs, and an end."""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import gevent
import pytest
from gevent.event import Event

from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from meshproxy.discovery.watching.watch import Watch, Watches, WatchStats, polled
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG
from meshproxy.var import PENDING, Failed, Ok, State, Var
from tests.kit.k8s import wait_until

from .conftest import Scripted, api_at, at

REFUSED = ApiFailure(Reason.CONNECT, "refused")
HOLD = object()
"""A step after which a round waits to be ended."""


@dataclass
class Script:
    """Rounds that go by the steps given: values to yield, errors to raise, or `HOLD`."""

    rounds: list[list[Any]]
    begun: int = 0
    ended: int = 0
    backoffs: int = 0
    stats: Tree = field(default_factory=Tree)

    def __call__(self, _line: Line) -> Generator[Any, None, None]:
        number, self.begun = self.begun, self.begun + 1
        steps = self.rounds[number] if number < len(self.rounds) else [HOLD]
        try:
            for step in steps:
                if step is HOLD:
                    Event().wait()
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.ended += 1

    def backoff(self) -> Any:
        self.backoffs += 1
        return repeat(0.0)

    def watch(self, **more: Any) -> Watch[Any]:
        where = more.pop("where", Var(at(1)))
        stats = WatchStats(self.stats)
        return Watch(api_at(where), "/web", self, backoff=self.backoff, stats=stats, **more)

    def counts(self, *names: str) -> list[float]:
        return [self.stats.counter(*name.split("/")).value for name in names]


def seen(watch: Watch[Any], count: int) -> list[State[Any]]:
    """Observe *watch* until it has said *count* different things."""
    states: list[State[Any]] = []
    close = watch.states.observe(states.append)
    try:
        wait_until(lambda: len(states) >= count)
    finally:
        close()
    return states


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        pytest.param([["a", "b"]], [Ok("a"), Ok("b")], id="each value"),
        pytest.param([["a"], ["b"]], [Ok("a"), Ok("b")], id="round after round"),
        pytest.param([["a", REFUSED], [REFUSED], ["b"]], [Ok("a"), Ok("b")], id="last good"),
        pytest.param([[REFUSED], ["a"]], [Ok("a")], id="pending while there is none"),
        pytest.param([[Malformed("no")], ["a"]], [Ok("a")], id="malformed"),
        pytest.param([[], ["a"]], [Ok("a")], id="nothing said"),
        pytest.param([[RuntimeError("ours")], ["a"]], [Ok("a")], id="a fault of our own"),
    ],
)
def test_what_is_known_is_the_last_good_value(rounds: list[list[Any]], expected: list[Any]) -> None:
    script = Script(rounds)
    assert seen(script.watch(), len(expected) + 1) == [PENDING, *expected]
    wait_until(lambda: script.begun == script.ended)


def test_what_to_be_before_the_first_value_is_up_to_the_system() -> None:
    script = Script([[REFUSED], ["a", REFUSED]])
    watch = script.watch(unknown=Failed)
    assert seen(watch, 3) == [PENDING, Failed(REFUSED), Ok("a")]


def test_every_failure_is_counted_by_its_reason() -> None:
    rounds = [["a", REFUSED], [REFUSED], [Malformed("no")], [], [RuntimeError("ours")], ["b"]]
    script = Script(rounds)
    seen(script.watch(), 3)
    names = ("opens", "closes", "updates", "errors", "errors/connect", "errors/malformed")
    assert script.counts(*names) == [1, 1, 2, 5, 2, 1]
    assert script.counts("errors/broken", "errors/internal") == [1, 1]


def test_a_value_begins_the_backoff_anew_and_a_round_that_ended_well_needs_none() -> None:
    script = Script([[REFUSED], [REFUSED], ["a"], ["b"], [REFUSED], ["c"]])
    seen(script.watch(), 4)
    assert script.backoffs == 4


def test_it_asks_only_while_somebody_observes_and_begins_at_pending_again() -> None:
    script = Script([["a", HOLD], ["b", HOLD]])
    watch = script.watch()
    assert (script.begun, watch.is_idle) == (0, True)
    assert seen(watch, 2) == [PENDING, Ok("a")]
    wait_until(lambda: script.ended == 1)
    assert watch.is_idle
    assert seen(watch, 2) == [PENDING, Ok("b")]
    wait_until(lambda: script.ended == 2)


def test_it_begins_anew_when_the_api_moves_and_keeps_what_it_knows(server: Scripted) -> None:
    server.faults["held"] = "stall"
    where = Var(at(server.port))

    def rounds(line: Line) -> Generator[bytes, None, None]:
        yield line.ask("/who").body
        line.ask("/held", held_s=60.0)

    with Scripted() as other:
        other.script = server.script
        other.faults["held"] = "stall"
        stats = WatchStats(Tree())
        watch = Watch(api_at(where), "/web", rounds, backoff=lambda: repeat(0.0), stats=stats)
        states: list[State[bytes]] = []
        close = watch.states.observe(states.append)
        wait_until(lambda: server.targets("held"))
        where.set(at(other.port))
        wait_until(lambda: other.targets("held"))
        wait_until(lambda: not server.connections)
        where.set(ADDR_NEG)
        assert states == [PENDING, Ok(b"/who")]
        close()
        wait_until(lambda: not other.connections)


def test_its_state_is_told_to_people() -> None:
    script = Script([["a", REFUSED], [HOLD]])
    watch = script.watch(show=lambda value: {"value": value}, style="watch")
    states: list[State[str]] = []
    close = watch.states.observe(states.append)
    wait_until(lambda: script.begun == 2)
    told = watch.describe()
    close()
    assert told["state"]["running"] is True
    assert told["state"]["value"] == {"value": "a"}
    assert told["state"]["lastStartedAt"].endswith(" +0000")
    assert told["watch"]["error"] == "refused"
    assert told["watch"]["lastRequestAt"] is None
    assert watch.describe()["state"]["running"] is False


def test_those_who_follow_the_same_share_one_watch() -> None:
    script = Script([["a", HOLD]])
    watches: Watches[str, str] = Watches(lambda _: script.watch())
    states: list[State[str]] = []
    follows = [watches.follow("web") for _ in range(2)]
    assert "web" not in watches
    closes = [follow.observe(states.append) for follow in follows]
    wait_until(lambda: states.count(Ok("a")) == 2)
    assert script.begun == 1
    assert "web" in watches
    assert list(watches.describe()) == ["/web"]
    closes.pop()()
    assert "web" in watches
    closes.pop()()
    assert "web" not in watches
    assert watches.describe() == {}


def test_a_poll_asks_again_after_each_interval() -> None:
    answers = iter("abc")
    intervals: list[int] = []

    def interval() -> float:
        intervals.append(1)
        return 0.0

    def ask() -> str:
        return next(answers)

    poll: Generator[str, None, None] = polled(ask, interval)
    assert [next(poll) for _ in range(3)] == ["a", "b", "c"]
    assert len(intervals) == 2


def test_an_observer_that_stops_it_ends_it() -> None:
    script = Script([["a", "b"]])
    watch = script.watch()
    closes: list[Callable[[], None]] = []

    def once(state: State[str]) -> None:
        if isinstance(state, Ok):
            closes.pop()()

    closes.append(watch.states.observe(once))
    wait_until(lambda: watch.is_idle)
    gevent.idle()
    assert script.counts("opens", "closes") == [1, 1]


def test_in_brief_it_tells_the_last_good_value_and_since_when_it_fails() -> None:
    script = Script([[REFUSED], [["a", "b"], REFUSED], [HOLD]])
    watches: Watches[str, str] = Watches(lambda _: script.watch(show=lambda value: value))
    before = time.time()
    close = watches.follow("web").observe(lambda _: None)
    wait_until(lambda: script.begun == 3)
    (told,) = watches.followed()
    close()
    assert (told.name, told.answer, told.failure) == ("/web", "2 entries", "refused")
    assert before <= told.answered_at <= told.failing_since <= time.time()
    assert list(watches.followed()) == []


def test_before_the_first_answer_nothing_is_told_of_it() -> None:
    watch = Script([[HOLD]]).watch()
    assert watch.followed() == ("/web", "", 0, "", 0, 0)
