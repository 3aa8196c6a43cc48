"""Nodes of a real ZooKeeper are followed, and cost what they are worth."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from meshproxy.discovery.zookeeper import nodes as module
from meshproxy.discovery.zookeeper.ensemble import MAX_LEFT, Ensemble
from meshproxy.discovery.zookeeper.membership import Membership
from meshproxy.discovery.zookeeper.nodes import Nodes
from meshproxy.discovery.zookeeper.session import SessionTiming
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.var import Ok, Pending, Var
from tests.kit.k8s import wait_until
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper

pytestmark = needs_zookeeper
QUICK = SessionTiming(session_s=1.0, connect_s=1.0, answer_s=2.0, close_s=0.1)
MEMBERS: Membership[str] = Membership(
    lambda _, children: [name for name in children if name.startswith("m")],
    lambda _, data: None if data == b"bad" else data.decode(),
)


class World:
    """The nodes of a server, and what was seen of them."""

    def __init__(self, port: int, timing: SessionTiming = QUICK) -> None:
        where = Var(AddrBound(frozenset({Address("127.0.0.1", port)})))
        self.metrics = Tree()
        self.ensemble = Ensemble("zk.test", where, timing)
        self.nodes = Nodes(self.ensemble, MEMBERS, self.metrics)
        self.seen: dict[str, Any] = {}
        self._closes: dict[str, Callable[[], None]] = {}

    def follow(self, *paths: str, shorten: Callable[[str], str] = str) -> None:
        """Keep `seen` up to date with what is on the way of *paths*."""
        for path in paths:
            found = self.nodes.along(tuple(path.split("/")[1:]), shorten)
            self._closes[path] = found.observe(lambda state, at=path: self.seen.update({at: state}))

    def leave(self, *paths: str) -> None:
        """Follow *paths* no more."""
        for path in paths:
            self._closes.pop(path)()

    def found(self, path: str) -> list[tuple[str, dict[str, str]]] | None:
        """Return what is on the way of *path* below the root; None while it is pending."""
        state = self.seen[path]
        return [(name, dict(of)) for name, of in state.value[1:]] if isinstance(state, Ok) else None

    def wait_for(self, path: str, *found: tuple[str, dict[str, str]]) -> None:
        """Wait until this is on the way of *path*."""
        try:
            wait_until(lambda: self.found(path) == list(found))
        except AssertionError:
            raise AssertionError(f"{path} is {self.seen[path]}") from None

    def count(self, name: str) -> int:
        """Return a counter."""
        return self.metrics.counter(name).value

    def close(self) -> None:
        self.leave(*self._closes)


@pytest.fixture
def world(zookeeper: ZooKeeper) -> Iterator[World]:
    made = World(zookeeper.port)
    yield made
    made.close()


def test_all_nodes_on_the_way_are_found_and_no_others(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put(
        {"/a1/b/m1": b"one", "/a1/b/other": b"x", "/a1/m0": b"zero", "/a1/b/mbad": b"bad"}
    )
    world.follow("/a1/b/c/d", "/a1", "/absent/b")
    world.wait_for("/a1/b/c/d", ("a1", {"m0": "zero"}), ("b", {"m1": "one"}))
    world.wait_for("/a1", ("a1", {"m0": "zero"}))
    world.wait_for("/absent/b")


def test_the_way_ends_with_the_short_form_of_a_segment(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put({"/a2/web/below/m1": b"1", "/a2/own:x/m2": b"2"})

    def shorten(segment: str) -> str:
        return segment.partition(":")[0]

    world.follow("/a2/web:http/below", "/a2/own:x/below", shorten=shorten)
    world.wait_for("/a2/web:http/below", ("a2", {}), ("web", {}))
    world.wait_for("/a2/own:x/below", ("a2", {}), ("own:x", {"m2": "2"}))


def test_every_change_is_seen(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put({"/a3": b""})
    world.follow("/a3/b")
    world.wait_for("/a3/b", ("a3", {}))
    zookeeper.put({"/a3/b/m1": b"1"})
    world.wait_for("/a3/b", ("a3", {}), ("b", {"m1": "1"}))
    zookeeper.put({"/a3/b/m1": b"changed", "/a3/b/m2": b"2"})
    world.wait_for("/a3/b", ("a3", {}), ("b", {"m1": "changed", "m2": "2"}))
    zookeeper.put({"/a3/b/m1": None})
    world.wait_for("/a3/b", ("a3", {}), ("b", {"m2": "2"}))
    zookeeper.put({"/a3/b": None})
    world.wait_for("/a3/b", ("a3", {}))
    zookeeper.put({"/a3/b/m1": b"again"})
    world.wait_for("/a3/b", ("a3", {}), ("b", {"m1": "again"}))


def test_a_node_made_anew_at_once_is_seen(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put({"/a4/b/m1": b"1"})
    world.follow("/a4/b")
    world.wait_for("/a4/b", ("a4", {}), ("b", {"m1": "1"}))
    zookeeper.put({"/a4/b": None, "/a4/b/m1": b"2"})
    world.wait_for("/a4/b", ("a4", {}), ("b", {"m1": "2"}))


def test_many_changes_at_once_cost_a_few_answers(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put({"/a5/m0": b"0"})
    world.follow("/a5")
    world.wait_for("/a5", ("a5", {"m0": "0"}))
    before = world.count("updates")
    zookeeper.put({f"/a5/m{number}": str(number).encode() for number in range(300)})
    world.wait_for("/a5", ("a5", {f"m{number}": str(number) for number in range(300)}))
    assert world.count("updates") - before < 100


@pytest.fixture
def patient(zookeeper: ZooKeeper) -> Iterator[World]:
    """A world whose session does not end while a busy machine lets this process wait."""
    made = World(zookeeper.port, replace(QUICK, session_s=60.0))
    yield made
    made.close()


def test_names_that_were_made_up_cost_neither_questions_nor_watches(
    zookeeper: ZooKeeper, patient: World
) -> None:
    zookeeper.put({"/a6/m0": b"0"})
    patient.follow("/a6/known")
    patient.wait_for("/a6/known", ("a6", {"m0": "0"}))
    watches = zookeeper.measure("zk_watch_count")
    packets = zookeeper.measure("zk_packets_received")
    made_up = [f"/a6/made-up-{number}/x" for number in range(500)]
    patient.follow(*made_up)
    assert all(patient.found(path) == [("a6", {"m0": "0"})] for path in made_up)
    assert zookeeper.measure("zk_watch_count") == watches
    assert zookeeper.measure("zk_packets_received") - packets < 10


def test_watches_of_names_that_are_used_no_more_are_bounded(
    zookeeper: ZooKeeper, world: World
) -> None:
    rows = {f"/a7/s{one}/m{two}": b"" for one in range(30) for two in range(50)}
    zookeeper.put({"/a7/known/m0": b"0", **rows})
    world.follow("/a7/known")
    world.wait_for("/a7/known", ("a7", {}), ("known", {"m0": "0"}))
    for one in range(30):
        world.follow(f"/a7/s{one}")
        wait_until(lambda at=one: world.found(f"/a7/s{at}"))
        world.leave(f"/a7/s{one}")
    wait_until(lambda: zookeeper.measure("zk_watch_count") <= MAX_LEFT)
    assert world.found("/a7/known") == [("a7", {}), ("known", {"m0": "0"})]
    zookeeper.put({"/a7/known/m0": b"followed"})
    world.wait_for("/a7/known", ("a7", {}), ("known", {"m0": "followed"}))


def test_through_an_outage_the_last_answer_stays(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put({"/a8/m0": b"0"})
    world.follow("/a8")
    world.wait_for("/a8", ("a8", {"m0": "0"}))
    zookeeper.stop()
    wait_until(lambda: world.count("errors") > 0)
    assert world.found("/a8") == [("a8", {"m0": "0"})]
    world.follow("/a8/new")
    assert isinstance(world.seen["/a8/new"], Pending) or world.found("/a8/new") == [
        ("a8", {"m0": "0"})
    ]
    zookeeper.start()
    zookeeper.put({"/a8/m0": b"back"})
    world.wait_for("/a8", ("a8", {"m0": "back"}))


def test_when_all_data_is_wiped_all_names_are_gone(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put({"/a9/m0": b"0", **{f"/a9/x{number}": b"" for number in range(10)}})
    world.follow("/a9")
    world.wait_for("/a9", ("a9", {"m0": "0"}))
    zookeeper.wipe()
    world.wait_for("/a9")
    zookeeper.put({"/a9/m0": b"anew"})
    world.wait_for("/a9", ("a9", {"m0": "anew"}))


def test_a_node_that_may_not_be_read_is_an_error_and_pending(
    zookeeper: ZooKeeper, world: World
) -> None:
    zookeeper.put({"/a10/m0": b"0"})
    with zookeeper.client() as client:
        acl = client.get_acls("/a10")[0][0]
        client.set_acls("/a10", [acl._replace(perms=4)])
    world.follow("/a10")
    wait_until(lambda: world.count("errors") > 0)
    assert isinstance(world.seen["/a10"], Pending)
    assert "NoAuthError" in str(world.nodes.describe()["/a10"]["watch"]["error"])


def test_too_many_members_are_refused(
    zookeeper: ZooKeeper, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_MEMBERS", 3)
    zookeeper.put({f"/a11/m{number}": b"" for number in range(4)})
    world.follow("/a11")
    wait_until(lambda: world.metrics.counter("errors", "too_large").value > 0)
    zookeeper.put({"/a11/m0": None})
    world.wait_for("/a11", ("a11", {"m1": "", "m2": "", "m3": ""}))


def test_the_state_is_shown_by_path(zookeeper: ZooKeeper, world: World) -> None:
    zookeeper.put({"/a12/m0": b"0", "/a12/other": b""})
    world.follow("/a12")
    world.wait_for("/a12", ("a12", {"m0": "0"}))
    shown = world.nodes.describe()["/a12"]
    assert shown["state"]["value"] == {"children": 2, "members": {"m0": "0"}}
    assert shown["watch"]["request"] == "1 members of /a12"
    world.close()
    assert world.nodes.describe() == {}
    assert list(world.nodes.followed()) == []
    assert world.nodes.is_idle
