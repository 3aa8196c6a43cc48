"""Which endpoints there are after changes, small and large, and what is made of them in between."""

from collections.abc import Iterable

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.balancers.p2c import P2cConfig
from meshproxy.balancers.weight_classes import WeightClasses
from meshproxy.client.endpoint import Endpoint
from meshproxy.client.h1.pool import EndpointPool
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.naming.bound import ChosenBy
from meshproxy.naming.path import Path
from meshproxy.net.turn import next_turn
from meshproxy.router.endpoints import AT_ONCE, EndpointFactory, EndpointTable
from meshproxy.router.own_listeners import AddressGuard, LoopGuard, OwnListener, OwnListeners
from meshproxy.router.policy import ClientPolicy

TURNS = 60
"""More than the largest change here takes."""


class Table(EndpointTable):
    """A table of real endpoints that nobody connects to."""

    def __init__(self, *listeners: OwnListener, keeps_healthy: bool = False) -> None:
        self.metrics = Tree()
        self.own = OwnListeners(lambda ip: ip.is_loopback)
        self.own.replace(listeners)
        policy = ClientPolicy()
        self.classes: WeightClasses[Endpoint] = WeightClasses(
            self.metrics, "p2c", lambda: P2cConfig().build(self.metrics)
        )
        transport = policy.transport(Limits())
        new = EndpointFactory(Path.of("web"), policy, transport, EndpointPool, self.metrics)
        self.made: list[Endpoint] = []

        def create(address: Address) -> Endpoint:
            self.made.append(new(address))
            return self.made[-1]

        super().__init__(
            create,
            self.classes,
            AddressGuard(LoopGuard(self.own, "http", Tree()), ChosenBy.NAMER),
            keeps_healthy=keeps_healthy,
        )

    @property
    def weights(self) -> dict[tuple[str, int], float]:
        """What is chosen among."""
        found = {(one.address.host, one.address.port): one.weight for one in self.classes.nodes}
        assert len(found) == len(self.classes.nodes)
        return found


def addresses(*ports: int, weight: float = 1.0) -> frozenset[Address]:
    return frozenset(Address("127.0.0.1", port, weight) for port in ports)


def turns(count: int = TURNS) -> None:
    for _ in range(count):
        next_turn()


def highest(listed: Iterable[Address]) -> dict[tuple[str, int], float]:
    found: dict[tuple[str, int], float] = {}
    for one in listed:
        at = one.host, one.port
        found[at] = max(one.weight, found.get(at, one.weight))
    return found


sets = st.frozensets(
    st.builds(Address, st.just("192.0.2.1"), st.integers(1, 8), st.sampled_from([0.5, 1.0, 2.0])),
    max_size=12,
)


@given(changes=st.lists(sets, max_size=8))
def test_after_any_changes_there_is_an_endpoint_for_each_address_by_its_highest_weight(
    changes: list[frozenset[Address]],
) -> None:
    table = Table()
    for wanted in changes:
        table.follow(wanted)
        assert table.weights == highest(wanted)
    table.close()
    assert table.weights == {}
    assert all(one.is_closed for one in table.made)


@settings(deadline=None, max_examples=20)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 700), st.integers(0, 700), st.sampled_from([0, 1, 3, TURNS])),
        min_size=1,
        max_size=5,
    )
)
def test_large_changes_that_overtake_one_another_come_to_the_last_one(
    changes: list[tuple[int, int, int]],
) -> None:
    table = Table()
    for start, count, wait in changes:
        wanted = addresses(*range(start + 1, start + count + 1))
        table.follow(wanted)
        assert table.weights.keys() <= highest(wanted).keys()
        assert bool(table.weights) is bool(wanted)
        turns(wait)
    turns()
    assert table.weights == highest(wanted)
    alive = {one for one in table.made if not one.is_closed}
    assert alive == set(table.by_address.values())


def test_of_many_addresses_some_are_there_at_once_and_others_run_before_the_rest() -> None:
    table = Table()
    table.follow(addresses(*range(1, 5 * AT_ONCE + 1)))
    assert len(table.weights) == AT_ONCE
    seen: list[int] = []
    gevent.spawn(lambda: seen.append(len(table.by_address)))
    turns()
    assert seen[0] < 5 * AT_ONCE == len(table.weights)


def test_what_is_gone_is_not_chosen_from_the_first_moment() -> None:
    table = Table()
    table.follow(addresses(*range(1, 5 * AT_ONCE + 1)))
    turns()
    before = list(table.by_address.values())
    table.follow(addresses(*range(1001, 1001 + 5 * AT_ONCE)))
    assert min(port for _, port in table.weights) > 1000
    turns()
    assert len(table.weights) == 5 * AT_ONCE
    assert all(one.is_closed for one in before)


def test_an_update_touches_only_what_changed() -> None:
    table = Table()
    ports = range(1, 5 * AT_ONCE)
    table.follow(addresses(*ports))
    turns()
    before = dict(table.by_address)
    table.follow(addresses(*ports[1:], 9999))
    after = table.by_address
    assert after.keys() ^ before.keys() == addresses(ports[0], 9999)
    assert all(after[key] is before[key] for key in after.keys() & before.keys())
    assert table.metrics.counter("updates").value == 3


def test_all_may_change_their_weight_at_once() -> None:
    table = Table()
    ports = range(1, 3 * AT_ONCE)
    table.follow(addresses(*ports))
    turns()
    before = dict(table.by_address)
    table.follow(addresses(*ports, weight=2.0))
    assert table.by_address == before
    assert set(table.weights.values()) == {2.0}


def test_the_first_that_is_admitted_is_there_at_once_behind_any_number_that_are_not() -> None:
    table = Table(OwnListener("127.0.0.1", 4140, "http"))
    ours = frozenset(Address("127.0.0.1", 4140, 1 + n / 1000) for n in range(3 * AT_ONCE))
    table.follow(ours | addresses(80))
    assert table.weights == {("127.0.0.1", 80): 1.0}
    assert table.own_listener is not None
    table.follow(addresses(80))
    assert table.own_listener is None


@pytest.mark.parametrize("keeps_healthy", [False, True])
def test_new_listeners_are_minded_at_the_next_update(*, keeps_healthy: bool) -> None:
    table = Table(OwnListener("127.0.0.1", 81, "http"), keeps_healthy=keeps_healthy)
    table.follow(addresses(80, 81))
    [endpoint] = table.by_address.values()
    table.own.replace([OwnListener("127.0.0.1", 80, "http")])
    table.follow(addresses(80, 81))
    assert table.weights == {("127.0.0.1", 81): 1.0}
    assert endpoint.is_closed
    assert table.own_listener == OwnListener("127.0.0.1", 80, "http")


def test_one_that_is_listed_again_during_its_probation_is_the_same() -> None:
    table = Table(keeps_healthy=True)
    table.follow(addresses(80))
    [endpoint] = table.by_address.values()
    table.follow(addresses(81))
    assert len(table.weights) == 2
    table.follow(addresses(80, weight=3.0))
    assert table.weights == {("127.0.0.1", 80): 3.0, ("127.0.0.1", 81): 1.0}
    assert table.by_address[Address("127.0.0.1", 80)] is endpoint
