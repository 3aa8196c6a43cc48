"""A table is fed over a real socket, by an API server that behaves and misbehaves."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from gevent import GreenletExit

from meshproxy.discovery.k8s.api import ApiServer, KubernetesApi, Timing
from meshproxy.discovery.k8s.objects import ENDPOINTS, SLICES, Group
from meshproxy.discovery.k8s.table import Table
from meshproxy.discovery.k8s.watch import MAX_WAIT_S, MIN_WAIT_S, ListWatch, Tally
from meshproxy.discovery.watching.decoding import MAX_BYTES
from meshproxy.discovery.watching.failure import Reason
from meshproxy.var import Ok
from tests.kit.events import events_of
from tests.kit.k8s import KubeApi, endpoints, subset, wait_until

PORTS = [{"name": "http", "port": 80}]
QUICK = Timing(connect_s=5, idle_timeout_s=0.2, page_s=5, watch_s=60)


class World:
    """An API server, and a table of its endpoints in the namespace `default`."""

    def __init__(self, timing: Timing, sleep: Callable[[float], None] | None = None) -> None:
        self.api = KubeApi()
        self.tally = Tally()
        client = KubernetesApi(ApiServer("127.0.0.1", self.api.port), timing)
        options = {"sleep": sleep} if sleep else {}
        self.table: Table[Group] = Table(
            lambda table: ListWatch(
                client, "default", (SLICES, ENDPOINTS), table, self.tally, **options
            ),
            lambda: 0.0,
        )
        self.closes: list[Callable[[], None]] = []
        self.states: dict[str, Any] = {}

    def follow(self, *names: str) -> None:
        """Keep `states` up to date with what the table says of *names*."""
        for name in names:
            self.closes.append(self.table.follow(name, partial(self._take, name)))

    def _take(self, name: str, state: Any) -> None:
        self.states[name] = state

    def hosts(self, name: str) -> list[str] | None:
        """The hosts that are known of *name*; None while nothing is."""
        state = self.states[name]
        if not isinstance(state, Ok):
            return None
        return [host.ip for group in state.value for host in group.hosts]

    def wait_for(self, name: str, *hosts: str) -> None:
        """Wait until these and no others are the hosts of *name*."""
        wait_until(lambda: self.hosts(name) == list(hosts))

    def wait_for_watch(self) -> None:
        """Wait until a watch is open."""
        wait_until(lambda: self.api.watchers)

    def close(self) -> None:
        """Stop following, and end the API."""
        for close in self.closes:
            close()
        self.api.close()


def _worlds(timing: Timing) -> Iterator[World]:
    world = World(timing)
    world.api.publish("hello", "10.0.0.1")
    yield world
    world.close()


@pytest.fixture
def world() -> Iterator[World]:
    yield from _worlds(Timing())


@pytest.fixture
def quick_world() -> Iterator[World]:
    """A world whose silence is noticed soon."""
    yield from _worlds(QUICK)


def test_changes_are_followed(world: World) -> None:
    world.follow("hello", "other")
    world.wait_for("hello", "10.0.0.1")
    world.wait_for_watch()
    world.api.publish("hello", "10.0.0.1", "10.0.0.2")
    world.wait_for("hello", "10.0.0.1", "10.0.0.2")
    world.api.publish("other", "10.0.0.3")
    world.wait_for("other", "10.0.0.3")
    world.api.withdraw("hello")
    world.wait_for("hello")
    assert world.states["hello"] == Ok(())


def test_all_names_share_one_list_and_one_watch(world: World) -> None:
    world.follow("hello", *(f"unknown-{number}" for number in range(50)))
    world.wait_for("unknown-49")
    world.wait_for_watch()
    assert [target.partition("?")[0] for target in world.api.requests] == [
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    ] * 2


def test_the_watch_ends_with_its_last_observer(world: World) -> None:
    world.follow("hello")
    world.wait_for_watch()
    world.closes.pop()()
    wait_until(lambda: not world.api.watchers)


def test_long_lists_come_in_pages(world: World) -> None:
    for number in range(1200):
        world.api.publish(f"s{number}", "10.0.1.1")
    world.follow("s1199")
    world.wait_for("s1199", "10.0.1.1")
    lists = [target for target in world.api.requests if "watch" not in target]
    assert len(lists) == 3
    assert all("limit=500" in target for target in lists)


def test_a_page_that_expired_starts_the_list_again(world: World) -> None:
    for number in range(600):
        world.api.publish(f"s{number}", "10.0.1.1")
    world.api.refusals["continue="] = 410
    world.follow("s599")
    wait_until(lambda: world.tally.failures[Reason.GONE])
    world.api.refusals.clear()
    world.wait_for("s599", "10.0.1.1")


@pytest.mark.parametrize("end", ["end_watches", "break_watches", "expire_watches"])
def test_what_was_missed_while_no_watch_was_open_is_caught_up(world: World, end: str) -> None:
    world.api.publish("doomed", "10.0.0.9")
    world.follow("hello", "doomed")
    world.wait_for("doomed", "10.0.0.9")
    world.wait_for_watch()
    getattr(world.api, end)()
    wait_until(lambda: not world.api.watchers)
    world.api.withdraw("doomed")
    world.api.publish("hello", "10.0.0.7")
    world.api.forget_history()
    world.wait_for("doomed")
    world.wait_for("hello", "10.0.0.7")


def test_a_version_too_old_to_watch_from_is_listed_again(world: World) -> None:
    world.api.refusals["watch=true"] = 410
    world.follow("hello")
    wait_until(lambda: world.tally.failures[Reason.GONE])
    world.api.refusals.clear()
    world.wait_for_watch()
    world.api.publish("hello", "10.0.0.2")
    world.wait_for("hello", "10.0.0.2")


def test_versions_are_not_compared(world: World) -> None:
    world.follow("hello")
    world.wait_for_watch()
    world.api.version = 1
    world.api.publish("hello", "10.0.0.2")
    world.wait_for("hello", "10.0.0.2")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"not JSON\n", Reason.MALFORMED, id="not JSON"),
        pytest.param(b"[1]\n", Reason.MALFORMED, id="no event"),
        pytest.param(b'{"type":"NEW","object":{}}\n', Reason.MALFORMED, id="unknown type"),
        pytest.param(b"x" * (MAX_BYTES + 1), Reason.MALFORMED, id="huge line"),
        pytest.param(
            b'{"type":"ERROR","object":{"code":500,"message":"oh"}}\n', Reason.STATUS, id="error"
        ),
    ],
)
def test_nonsense_in_the_watch_is_counted_and_loses_nothing(
    world: World, data: bytes, reason: Reason
) -> None:
    world.follow("hello")
    world.wait_for_watch()
    world.api.send(data)
    wait_until(lambda: world.tally.failures[reason])
    assert world.hosts("hello") == ["10.0.0.1"]
    wait_until(lambda: world.tally.lists == 2)
    world.wait_for_watch()
    world.api.publish("hello", "10.0.0.2")
    world.wait_for("hello", "10.0.0.2")


def test_half_a_line_at_the_end_counts_for_nothing(world: World) -> None:
    world.follow("hello")
    world.wait_for_watch()
    world.api.send(b'{"type":"DELETED","object":{"metadata":{"name":"hello-1"')
    world.api.break_watches()
    wait_until(lambda: world.tally.failures[Reason.BROKEN])
    assert world.hosts("hello") == ["10.0.0.1"]
    wait_until(lambda: world.tally.lists == 2)


def test_an_event_may_come_in_two_pieces(world: World) -> None:
    world.follow("hello")
    world.wait_for_watch()
    gone = {"type": "DELETED", "object": {"metadata": {"name": "hello-1"}, "addressType": "IPv4"}}
    line = json.dumps(gone).encode() + b"\n"
    world.api.send(line[:20])
    world.api.send(line[20:])
    world.wait_for("hello")


def test_a_malformed_object_is_left_out(world: World) -> None:
    world.api.publish("bad", "10.0.0.2", port=99999)
    world.follow("hello", "bad")
    world.wait_for("hello", "10.0.0.1")
    assert world.states["bad"] == Ok(())
    assert world.tally.failures[Reason.MALFORMED] == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b"{}", b"[]", b'{"metadata":{},"items":[{}', b"<html></html>"],
)
def test_a_list_that_is_none_is_tried_again(world: World, body: bytes) -> None:
    world.api.answers["endpointslices?limit"] = body
    world.follow("hello")
    wait_until(lambda: world.tally.failures[Reason.MALFORMED])
    assert world.hosts("hello") is None
    world.api.answers.clear()
    world.wait_for("hello", "10.0.0.1")


@pytest.mark.parametrize("status", [301, 401, 403, 404, 500, 503])
def test_a_refusal_keeps_the_last_known_state(world: World, status: int) -> None:
    world.follow("hello")
    world.wait_for("hello", "10.0.0.1")
    world.wait_for_watch()
    world.api.refusals["/"] = status
    world.api.break_watches()
    wait_until(lambda: world.tally.failures[Reason.STATUS])
    assert world.hosts("hello") == ["10.0.0.1"]
    world.api.refusals.clear()
    world.api.publish("hello", "10.0.0.2")
    world.wait_for("hello", "10.0.0.2")


def test_an_api_that_is_away_keeps_the_last_known_state(world: World) -> None:
    world.follow("hello")
    world.wait_for("hello", "10.0.0.1")
    world.wait_for_watch()
    world.api.close()
    wait_until(lambda: world.tally.failures[Reason.CONNECT])
    assert world.hosts("hello") == ["10.0.0.1"]
    world.api.publish("hello", "10.0.0.2")
    world.api.listen()
    world.wait_for("hello", "10.0.0.2")


def test_a_silent_watch_is_started_again(quick_world: World) -> None:
    world = quick_world
    world.follow("hello")
    world.wait_for_watch()
    world.api.stall()
    world.api.publish("hello", "10.0.0.2")
    wait_until(lambda: world.tally.failures[Reason.STALLED])
    assert world.hosts("hello") == ["10.0.0.1"]
    world.api.resume()
    world.wait_for("hello", "10.0.0.2")


def test_bookmarks_keep_a_quiet_watch_open(quick_world: World) -> None:
    world = quick_world
    world.follow("hello")
    world.wait_for_watch()

    def bookmarked() -> bool:
        world.api.bookmark()
        return world.tally.events >= 40

    wait_until(bookmarked)
    assert world.tally.lists == 1
    assert world.hosts("hello") == ["10.0.0.1"]


@pytest.mark.parametrize("status", [None, 403, 404])
def test_endpoints_serve_where_slices_do_not(world: World, status: int | None) -> None:
    if status is None:
        world.api.has_slices = False
    else:
        world.api.refusals["endpointslices"] = status
    world.api.apply(endpoints("plain", [subset([("10.0.0.5", None)], PORTS)]))
    world.follow("plain")
    world.wait_for("plain", "10.0.0.5")
    world.wait_for_watch()
    assert "/endpoints?" in world.api.requests[-1]
    assert sum(world.tally.failures.values()) == 0


def test_waits_grow_while_nothing_works_and_begin_anew_after_success() -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 15:
            world.api.refusals.clear()
        elif len(waits) == 16:
            raise GreenletExit

    world = World(QUICK, sleep)
    world.api.refusals["/"] = 500
    world.follow("hello")
    wait_until(lambda: world.api.watchers)
    world.api.bookmark()
    world.api.break_watches()
    wait_until(lambda: len(waits) == 16)
    world.close()
    growing = waits[:15]
    assert growing == sorted(growing)
    assert growing[0] == MIN_WAIT_S
    assert growing[-1] == MAX_WAIT_S
    assert waits[15] == MIN_WAIT_S


def test_it_tells_what_it_asked_and_what_came_when(world: World) -> None:
    world.follow("hello")
    world.wait_for_watch()
    wait_until(lambda: world.table.describe()["watch"]["streaming"])
    told = world.table.describe()["watch"]
    assert "watch=true" in told["request"]
    assert told["lastListAt"].endswith(" +0000")
    assert (told["lastStreamDataAt"], told["lastStreamEndAt"], told["error"]) == (None, None, None)
    world.api.publish("hello", "10.0.0.2")
    world.wait_for("hello", "10.0.0.2")
    assert world.table.describe()["watch"]["lastStreamDataAt"] is not None


def test_a_failure_is_told_and_an_event_until_a_list_comes_again(quick_world: World) -> None:
    world = quick_world
    world.follow("hello")
    world.wait_for_watch()
    world.api.close()
    wait_until(lambda: world.table.followed("endpoints").failure)
    told = world.table.followed("endpoints")
    assert told.answer == "1 objects"
    assert told.failing_since >= told.answered_at
    world.api.listen()
    wait_until(lambda: not world.table.followed("endpoints").failure)
    subject = f"Kubernetes endpoints of default at 127.0.0.1:{world.api.port}"
    assert events_of(subject)[-1] == "answers again"
