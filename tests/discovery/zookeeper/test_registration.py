"""Members are in a real ZooKeeper for as long as they are registered, whatever happens to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from meshproxy.discovery.zookeeper.ensemble import Ensemble
from meshproxy.discovery.zookeeper.registration import Registration
from meshproxy.discovery.zookeeper.session import SessionTiming
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.var import Var
from tests.kit.k8s import wait_until
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper

pytestmark = needs_zookeeper
QUICK = SessionTiming(session_s=1.0, connect_s=1.0, answer_s=1.0, close_s=0.3)


@contextmanager
def registered(
    zookeeper: ZooKeeper, node: str, *members: bytes, metrics: Tree | None = None
) -> Iterator[Registration]:
    where = Var(AddrBound(frozenset({Address("127.0.0.1", zookeeper.port)})))
    ensemble = Ensemble("zk.test", where, QUICK)
    registration = Registration(ensemble, node, members, metrics or Tree())
    try:
        yield registration
    finally:
        registration.close()


def wait_for(zookeeper: ZooKeeper, node: str, *members: bytes) -> None:
    """Wait until *node* has these members, made for a session."""
    wait_until(lambda: sorted(zookeeper.members(node)) == sorted(members))


def test_members_are_there_until_they_are_withdrawn(zookeeper: ZooKeeper) -> None:
    with registered(zookeeper, "/r1/some/web", b"one", b"two"):
        wait_for(zookeeper, "/r1/some/web", b"one", b"two")
    assert zookeeper.members("/r1/some/web") == []


def test_more_members_than_are_asked_for_at_once(zookeeper: ZooKeeper) -> None:
    members = [b"%d" % number for number in range(50)]
    with registered(zookeeper, "/r2", *members):
        wait_for(zookeeper, "/r2", *members)
    assert zookeeper.members("/r2") == []


def test_members_of_others_stay(zookeeper: ZooKeeper) -> None:
    with registered(zookeeper, "/r3", b"other"):
        wait_for(zookeeper, "/r3", b"other")
        with registered(zookeeper, "/r3", b"mine"):
            wait_for(zookeeper, "/r3", b"mine", b"other")
        assert zookeeper.members("/r3") == [b"other"]


def test_a_short_outage_changes_nothing(zookeeper: ZooKeeper) -> None:
    metrics = Tree()
    with registered(zookeeper, "/r4", b"one", metrics=metrics):
        wait_for(zookeeper, "/r4", b"one")
        zookeeper.stop()
        zookeeper.start()
        wait_for(zookeeper, "/r4", b"one")


def test_with_a_new_session_members_are_made_anew(
    zookeeper: ZooKeeper, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Tree()
    with registered(zookeeper, "/r5", b"one", metrics=metrics):
        wait_for(zookeeper, "/r5", b"one")
        zookeeper.stop()
        wait_until(lambda: metrics.counter("errors").value >= 2)
        zookeeper.start()
        wait_until(lambda: metrics.counter("registrations").value == 2)
        wait_for(zookeeper, "/r5", b"one")
        failures = [one for one in caplog.messages if "announcing /r5: no session" in one]
        assert len(failures) == 1
        zookeeper.wipe()
        wait_for(zookeeper, "/r5", b"one")


def test_a_server_that_is_not_there_yet_is_waited_for(zookeeper: ZooKeeper) -> None:
    zookeeper.stop()
    with registered(zookeeper, "/r6", b"one"):
        zookeeper.start()
        wait_for(zookeeper, "/r6", b"one")


def test_a_node_that_may_not_be_written_is_tried_again(zookeeper: ZooKeeper) -> None:
    zookeeper.put({"/r7": b""})
    metrics = Tree()
    with zookeeper.client() as client:
        acl = client.get_acls("/r7")[0][0]
        client.set_acls("/r7", [acl._replace(perms=1 | 16)])
        with registered(zookeeper, "/r7", b"one", metrics=metrics):
            wait_until(lambda: metrics.counter("errors").value > 1)
            client.set_acls("/r7", [acl])
            wait_for(zookeeper, "/r7", b"one")


def test_a_server_that_does_not_answer_holds_nobody_up(zookeeper: ZooKeeper) -> None:
    with registered(zookeeper, "/r8", b"one"):
        wait_for(zookeeper, "/r8", b"one")
        zookeeper.stop()
        asked = time.monotonic()
    assert time.monotonic() - asked < 3
    zookeeper.start()
