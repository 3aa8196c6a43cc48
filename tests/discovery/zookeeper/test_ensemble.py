"""An ensemble keeps a session while it is asked, whatever happens to its servers."""

from collections.abc import Iterator
from typing import Any

import pytest
from gevent.event import AsyncResult

from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.zookeeper.ensemble import (
    MAX_LEFT,
    Ensemble,
    EnsembleLine,
    ensemble_at,
    new_ensemble,
)
from meshproxy.discovery.zookeeper.session import SessionTiming
from meshproxy.naming.addr import ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.var import Ok, Var
from tests.kit.deps import Literals
from tests.kit.k8s import wait_until
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper

QUICK = SessionTiming(session_s=1.0, connect_s=1.0, answer_s=0.2, close_s=0.1)


def at(*ports: int) -> Addr:
    return AddrBound(frozenset(Address("127.0.0.1", port) for port in ports))


@pytest.fixture
def ensemble(zookeeper: ZooKeeper) -> Ensemble:
    return Ensemble("zk.test", Var(at(zookeeper.port)), QUICK)


@pytest.fixture
def line(ensemble: Ensemble) -> Iterator[EnsembleLine]:
    asking = EnsembleLine(ensemble)
    yield asking
    asking.close()


def session_of(ensemble: Ensemble) -> Any:
    """Return the id of the present session, None if there is none."""
    state = ensemble.clients.sample()
    return state.value.client_id[0] if isinstance(state, Ok) and state.value.client_id else None


def wait_for_another(ensemble: Ensemble, before: Any) -> None:
    wait_until(lambda: session_of(ensemble) not in (None, before))


@needs_zookeeper
def test_all_who_ask_share_a_session_that_ends_with_the_last(
    zookeeper: ZooKeeper, ensemble: Ensemble
) -> None:
    wait_until(lambda: zookeeper.measure("zk_num_alive_connections") == 1)
    first, second = EnsembleLine(ensemble), EnsembleLine(ensemble)
    assert first.client() is second.client()
    first.close()
    assert session_of(ensemble) is not None
    second.close()
    wait_until(lambda: zookeeper.measure("zk_num_alive_connections") == 1)


@needs_zookeeper
def test_answers_come_in_order_and_what_is_not_there_is_none(line: EnsembleLine) -> None:
    client = line.client()
    asked = [
        lambda: client.get_children_async("/zookeeper"),
        lambda: client.get_async("/absent"),
    ]
    answers = line.answers("some", asked)
    assert (sorted(answers[0]), answers[1]) == (["config", "quota"], None)
    assert line.request == "some"
    assert line.responded_at >= line.requested_at > 0


@needs_zookeeper
def test_an_error_of_the_server_is_a_failure(line: EnsembleLine) -> None:
    client = line.client()
    with pytest.raises(ApiFailure, match="BadArguments"):
        line.answers("nothing", [lambda: client.delete_async("/zookeeper", version=-5)])


@needs_zookeeper
def test_an_answer_that_does_not_come_costs_the_session(
    ensemble: Ensemble, line: EnsembleLine
) -> None:
    line.client()
    before = session_of(ensemble)
    with pytest.raises(ApiFailure, match=r"no answer within 0.2 s") as caught:
        line.answers("what never comes", [AsyncResult])
    assert caught.value.reason is Reason.STALLED
    wait_for_another(ensemble, before)


@needs_zookeeper
def test_a_short_outage_keeps_the_session(zookeeper: ZooKeeper) -> None:
    patient = Ensemble("zk.test", Var(at(zookeeper.port)), SessionTiming(session_s=60))
    asking = EnsembleLine(patient)
    asking.client()
    before = session_of(patient)
    zookeeper.stop()
    wait_until(lambda: session_of(patient) is None)
    zookeeper.start()
    wait_until(lambda: session_of(patient) is not None)
    assert session_of(patient) == before
    asking.close()


@needs_zookeeper
def test_a_session_that_is_lost_is_replaced(
    zookeeper: ZooKeeper, ensemble: Ensemble, line: EnsembleLine
) -> None:
    line.client()
    before = session_of(ensemble)
    zookeeper.stop()
    wait_until(lambda: session_of(ensemble) is None)
    line.news.clear()
    with pytest.raises(ApiFailure, match=r"no session within 1 s: .*refused"):
        line.client()
    zookeeper.start()
    wait_for_another(ensemble, before)
    assert line.news.is_set()


@needs_zookeeper
def test_a_server_that_lost_its_data_gets_a_new_session(
    zookeeper: ZooKeeper, ensemble: Ensemble, line: EnsembleLine
) -> None:
    for number in range(20):
        line.client().create(f"/made-{number}", b"")
    before = session_of(ensemble)
    zookeeper.wipe()
    wait_for_another(ensemble, before)
    assert line.client().get_children("/") == ["zookeeper"]


@needs_zookeeper
def test_an_ensemble_that_moves_is_followed(
    zookeeper: ZooKeeper, tmp_path_factory: pytest.TempPathFactory
) -> None:
    where: Var[Addr] = Var(at(zookeeper.port))
    moving = Ensemble("zk.test", where, QUICK)
    line = EnsembleLine(moving)
    with ZooKeeper(tmp_path_factory.mktemp("other")) as other:
        line.client()
        where.set(at(zookeeper.port, other.port))
        assert line.client().get_children("/") == ["zookeeper"]
        where.set(at(other.port))
        other.put({"/moved": b""})
        wait_until(lambda: "moved" in line.client().get_children("/"))
        where.set(AddrFailed("no name server"))
        assert "moved" in line.client().get_children("/")
        line.close()


@needs_zookeeper
def test_watches_that_nobody_waits_for_end_with_a_new_session(
    zookeeper: ZooKeeper, ensemble: Ensemble, line: EnsembleLine
) -> None:
    client = line.client()
    before = session_of(ensemble)
    for number in range(20):
        client.exists(f"/left-{number}", watch=lambda _: None)
    assert zookeeper.measure("zk_watch_count") == 20
    ensemble.leave(MAX_LEFT)
    assert session_of(ensemble) == before
    ensemble.leave(1)
    wait_for_another(ensemble, before)
    wait_until(lambda: zookeeper.measure("zk_watch_count") == 0)


NOWHERE = [
    (ADDR_PENDING, "no server has an address"),
    (AddrFailed("zk.test: SERVFAIL"), "zk.test: SERVFAIL"),
    (AddrBound(frozenset()), "no server has an address"),
]


@pytest.mark.parametrize(("addr", "why"), NOWHERE)
def test_without_an_address_the_failure_says_why(addr: Addr, why: str) -> None:
    line = EnsembleLine(Ensemble("zk.test", Var(addr), SessionTiming(connect_s=0.1)))
    line.ensemble.why = ""
    with pytest.raises(ApiFailure, match=r"no session within 0\.1 s") as caught:
        line.client()
    wait_until(lambda: line.ensemble.why == why)
    assert caught.value.reason is Reason.CONNECT
    line.close()


def test_one_ensemble_is_shared_and_forgotten() -> None:
    resolve = Literals().resolve
    first = ensemble_at([("a", 1), ("b", 2)], resolve)
    assert ensemble_at([("b", 2), ("a", 1)], resolve) is first
    assert ensemble_at([("a", 1)], resolve) is not first
    assert new_ensemble([("a", 1)], resolve) is not new_ensemble([("a", 1)], resolve)
    assert first.host == "a:1,b:2"
