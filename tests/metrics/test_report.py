"""What several trees count is one tree's: nothing twice, nothing lost, nothing going back."""

import json
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from meshproxy.metrics.instruments import Counter, Gauge, Stat
from meshproxy.metrics.report import KEPT_SECONDS, MAX_INSTRUMENTS, Batch, Merged, Report
from meshproxy.metrics.tree import Tree


@dataclass
class World:
    """A merged tree, and processes by number that report to it through JSON."""

    tree: Tree = field(default_factory=Tree)
    processes: dict[int, Tree] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.merged = Merged(self.tree)
        self._reports: dict[int, Report] = {}

    def process(self, number: int) -> Tree:
        """Return the tree of process *number*, which begins empty."""
        if number not in self.processes:
            self.processes[number] = Tree()
            self._reports[number] = Report(self.processes[number])
        return self.processes[number]

    def report(self, *numbers: int) -> None:
        for number in numbers or [*self._reports]:
            for batch in self._reports[number].batches():
                self.merged.take(number, Batch(*json.loads(json.dumps(batch))))

    def kill(self, number: int, now: float = 0.0) -> None:
        self.processes.pop(number)
        self._reports.pop(number)
        self.merged.leave(number, now)

    def read(self) -> dict[str, float]:
        """Return every counter and gauge, and of histograms the sum."""
        found: dict[str, float] = {}
        for scope, instrument in self.tree.walk():
            match instrument:
                case Counter():
                    found["/".join(scope)] = instrument.value
                case Gauge():
                    found["/".join(scope)] = instrument.read()
                case Stat():
                    found["/".join(scope)] = instrument.read().sum
        return found


def test_counters_add_up() -> None:
    world = World()
    for number in (1, 2):
        world.process(number).counter("rt", "requests").incr(number)
    world.report()
    world.process(1).counter("rt", "requests").incr(10)
    world.report()
    world.report()
    assert world.read() == {"rt/requests": 13}


def test_histograms_add_up_by_buckets() -> None:
    world = World()
    one, two, both = world.process(1).stat("ms"), world.process(2).stat("ms"), Stat()
    for value in range(0, 3000, 7):
        (one if value % 2 else two).add(value)
        both.add(value)
        if value % 500 == 0:
            world.report()
    world.report()
    assert world.tree.stat("ms").read() == both.read()
    assert world.tree.stat("ms").snapshot() == both.snapshot()


def test_gauges_are_added_or_the_highest_counts() -> None:
    world = World()
    for number in (1, 2):
        world.process(number).gauge("connections", fn=lambda n=number: n)
        world.process(number).gauge("originator", fn=lambda: 1, together="max")
        world.process(number).gauge("idle")
    world.report()
    assert world.read() == {"connections": 3, "originator": 1, "idle": 0}


def test_a_gauge_that_the_merging_process_has_too_counts_its_own_reading() -> None:
    world = World()
    world.tree.gauge("rss", fn=lambda: 100)
    world.tree.gauge("uptime", fn=lambda: 9, together="max")
    world.merged = Merged(world.tree)
    world.process(1).gauge("rss", fn=lambda: 20)
    world.process(1).gauge("uptime", fn=lambda: 5, together="max")
    world.report()
    assert world.read() == {"rss": 120, "uptime": 9}
    world.kill(1)
    world.merged.expire(KEPT_SECONDS)
    assert world.read() == {"rss": 100, "uptime": 9}


def test_a_process_that_ends_leaves_its_counts_and_takes_its_gauges() -> None:
    world = World()
    for number in (1, 2):
        world.process(number).counter("requests").incr(5)
        world.process(number).stat("ms").add(7)
        world.process(number).gauge("pending").value = 2
    world.process(1).gauge("only here").value = 1
    world.report()
    world.kill(1)
    assert world.read() == {"requests": 10, "ms": 14, "pending": 2}
    world.process(3).counter("requests").incr()
    world.report()
    assert world.read() == {"requests": 11, "ms": 14, "pending": 2}


def test_what_only_an_ended_process_counted_stays_for_ten_minutes() -> None:
    world = World()
    world.process(1).counter("service", "a", "requests").incr()
    world.process(1).counter("service", "b", "requests").incr()
    world.report()
    world.kill(1, now=100.0)
    world.process(2).counter("service", "b", "requests").incr()
    world.report()
    world.merged.expire(100.0 + KEPT_SECONDS - 1)
    assert world.read() == {"service/a/requests": 1, "service/b/requests": 2}
    world.merged.expire(100.0 + KEPT_SECONDS)
    assert world.read() == {"service/b/requests": 2}


def test_a_pruned_scope_is_gone_when_the_last_process_has_pruned_it() -> None:
    world = World()
    scopes = [world.process(number).scope("service", "a") for number in (1, 2)]
    for scope in scopes:
        scope.counter("requests")
    world.report()
    scopes[0].counter("requests").incr()
    scopes[0].prune()
    world.report()
    assert world.read() == {"service/a/requests": 1}
    scopes[1].prune()
    world.report()
    assert world.read() == {}
    assert world.tree.scopes == {}


def test_a_large_tree_comes_in_bounded_batches() -> None:
    tree = Tree()
    for n in range(MAX_INSTRUMENTS * 2):
        tree.counter(f"scope {n % 7}", f"counter {n}").incr()
    batches = list(Report(tree).batches())
    assert [len(batch.new) for batch in batches] == [MAX_INSTRUMENTS, MAX_INSTRUMENTS, 0]


def test_what_does_not_change_is_not_told_again() -> None:
    tree = Tree()
    tree.counter("requests").incr()
    tree.gauge("pending").value = 3
    tree.stat("ms").add(1)
    report = Report(tree)
    assert sum(len(batch.changes) for batch in report.batches()) == 3
    assert [batch for batch in report.batches() if any(batch)] == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["count", "report", "kill"]), st.integers(0, 3)), max_size=40
    )
)
def test_a_counter_never_goes_back_and_loses_what_was_not_reported_only(
    steps: list[tuple[str, int]],
) -> None:
    world, counted, unreported = World(), 0, dict.fromkeys(range(4), 0)
    seen = 0.0
    for what, number in steps:
        world.process(number)
        if what == "count":
            world.process(number).counter("requests").incr()
            counted, unreported[number] = counted + 1, unreported[number] + 1
        elif what == "report":
            world.report(number)
            unreported[number] = 0
        else:
            world.kill(number)
            counted, unreported[number] = counted - unreported[number], 0
        now = world.read().get("requests", 0)
        assert now >= seen
        seen = now
    world.report()
    assert world.read().get("requests", 0) == counted
