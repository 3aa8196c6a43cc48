"""One API server for all: what is shared, what is kept, and what a name may cost it."""

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from meshproxy.discovery.k8s.api import ApiServer, Timing
from meshproxy.discovery.k8s.cluster import MAX_IDLE, Cluster, cluster_at, clusters
from meshproxy.discovery.k8s.namespaces import MAX_LISTS
from meshproxy.metrics.tree import Tree
from meshproxy.var import PENDING, Ok
from tests.kit.closing import Closing
from tests.kit.k8s import KubeApi, service, wait_until

MADE_UP = [f"made-up-{number}" for number in range(200)]


def never() -> None:
    """Never fall back."""


class World(Closing):
    """An API server, and what is known of one service in each of some namespaces."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.api = KubeApi()
        self.cluster = Cluster(ApiServer("127.0.0.1", self.api.port), timing or Timing())
        self.states: dict[str, Any] = {}
        self._closes: list[Callable[[], None]] = []

    def follow(self, *namespaces: str, service: str = "web") -> None:
        """Keep `states` up to date with what is known."""
        for name in namespaces:
            entry = self.cluster.groups(name, service, never)
            self.close_later(entry.observe(partial(self.states.__setitem__, name)))

    def close_later(self, close: Callable[[], None]) -> None:
        self._closes.append(close)

    def unfollow(self) -> None:
        """Follow nothing any more."""
        for close in self._closes:
            close()
        self._closes = []

    def hosts(self, namespace: str) -> list[str] | None:
        """Return the hosts of the service; None while nothing is known."""
        state = self.states[namespace]
        if not isinstance(state, Ok):
            return None
        return [host.ip for group in state.value for host in group.hosts]

    def are_absent(self, namespaces: list[str]) -> bool:
        """Return True if the service is known not to be in any of *namespaces*."""
        return all(self.states[name] == Ok(()) for name in namespaces)

    def close(self) -> None:
        self.unfollow()
        self.api.close()


def watched(api: KubeApi) -> list[str]:
    """Return the targets of all watches so far."""
    return [target for target in api.requests if "watch=true" in target]


def test_one_server_is_one_cluster_while_it_is_in_use() -> None:
    first = cluster_at(ApiServer("one.example"))
    assert cluster_at(ApiServer("one.example")) is first
    second = cluster_at(ApiServer("two.example"))
    assert second is not first
    assert {first, second} <= set(clusters())
    assert [one.host for one in (first, second)] == ["one.example:8001", "two.example:8001"]
    tally = first.tally
    del first
    gc.collect()
    assert cluster_at(ApiServer("one.example")).tally is not tally


def test_a_namespace_has_one_table_of_each_kind() -> None:
    with World() as world:
        world.api.publish("web", "10.0.0.1")
        world.api.apply(service("web", [{"port": 80}]))
        for name in ("web", "other", "third"):
            world.follow("default", service=name)
            services = world.cluster.services("default", name, never)
            world.close_later(services.observe(lambda _: None))
        wait_until(lambda: len(world.api.watchers) == 2)
        assert len(world.api.requests) == 4


def test_what_idle_namespaces_knew_is_kept_of_the_latest() -> None:
    with World() as world:
        names = [f"ns-{number}" for number in range(MAX_IDLE + 1)]
        for name in names:
            world.api.publish("web", "10.0.0.1", namespace=name)
            world.follow(name)
            wait_until(lambda name=name: world.hosts(name))
            world.unfollow()
        world.api.close()
        world.follow(names[0])
        world.follow(names[1])
        wait_until(lambda: world.hosts(names[1]))
        assert world.states[names[0]] == PENDING


def test_of_an_idle_namespace_without_objects_nothing_is_kept() -> None:
    with World() as world:
        world.follow(*MADE_UP)
        wait_until(lambda: world.are_absent(MADE_UP))
        world.unfollow()
        assert world.cluster._groups._tables == {}


# --- namespaces that clients make up ---


def test_made_up_namespaces_cost_the_api_nothing() -> None:
    with World() as world:
        world.api.publish("web", "10.0.0.1")
        world.follow("default", *MADE_UP)
        wait_until(lambda: world.are_absent(MADE_UP) and world.hosts("default"))
        wait_until(lambda: len(world.api.watchers) == 2)
        of_made_up = [target for target in world.api.requests if "made-up" in target]
        assert len(of_made_up) <= 5 * MAX_LISTS  # until the list of namespaces has come
        asked = len(world.api.requests)
        more = [f"more-{number}" for number in range(100)]
        world.follow(*more)
        wait_until(lambda: world.are_absent(more))
        assert len(world.api.requests) == asked
        assert {watcher.query.plural for watcher in world.api.watchers} == {
            "namespaces",
            "endpointslices",
        }


def test_a_namespace_that_comes_to_exist_is_followed() -> None:
    with World() as world:
        world.follow(*MADE_UP)
        wait_until(lambda: world.are_absent(MADE_UP))
        name = MADE_UP[-1]
        for host in ("10.0.0.1", "10.0.0.2"):
            world.api.publish("web", host, namespace=name)
            wait_until(lambda host=host: world.hosts(name) == [host])


def test_a_namespace_that_is_empty_is_watched_if_it_exists() -> None:
    with World() as world:
        world.follow("default")
        wait_until(lambda: any("/default/" in target for target in watched(world.api)))
        world.api.publish("web", "10.0.0.1")
        wait_until(lambda: world.hosts("default") == ["10.0.0.1"])


@pytest.mark.parametrize("status", [403, 404, 500])
def test_without_the_list_of_namespaces_none_without_objects_is_watched(status: int) -> None:
    with World(Timing(empty_s=0.01)) as world:
        world.api.refusals["/v1/namespaces?"] = status
        world.follow(*MADE_UP[:3])
        wait_until(lambda: world.are_absent(MADE_UP[:3]))
        assert watched(world.api) == []
        for host in ("10.0.0.1", "10.0.0.2"):
            world.api.publish("web", host, namespace=MADE_UP[0])
            wait_until(lambda host=host: world.hosts(MADE_UP[0]) == [host])
        assert all(MADE_UP[0] in target for target in watched(world.api))


def test_the_operator_s_namespace_is_watched_though_it_is_empty() -> None:
    with World() as world:
        world.api.refusals["/v1/namespaces?"] = 403
        world.cluster.expect("empty")
        world.follow("empty")
        wait_until(lambda: world.api.watchers)
        assert not any("/v1/namespaces?" in target for target in world.api.requests)


def test_the_shortest_fallback_time_is_shared() -> None:
    cluster = Cluster(ApiServer(), Timing())
    assert cluster.fallback_after() is None
    cluster.share_fallback(2)
    cluster.share_fallback(3)
    assert cluster.fallback_after() == 2
    cluster.share_fallback(0)
    cluster.share_fallback(1)
    assert cluster.fallback_after() == 0


def test_metrics_show_how_the_api_is_doing() -> None:
    time = 50.0
    metrics = Tree()
    with KubeApi() as api:
        cluster = Cluster(ApiServer("127.0.0.1", api.port), Timing(), lambda: time)
        cluster.report(metrics)
        api.publish("hello", "10.0.0.1")
        close = cluster.groups("default", "hello", never).observe(lambda _: None)
        wait_until(lambda: api.watchers)
        api.break_watches()
        assert metrics.gauge("watches").read() == 1
        wait_until(lambda: metrics.gauge("failures", "broken").read() == 1)
        time = 53.0
        assert metrics.gauge("oldest_list_s").read() == 3.0
        close()
    assert metrics.gauge("lists").read() == 1
    assert metrics.gauge("watches").read() == 0
    assert metrics.gauge("oldest_list_s").read() == 0


def test_what_is_in_use_is_told_by_resource_and_namespace() -> None:
    with World() as world:
        world.api.publish("web", "10.0.0.1")
        world.follow("default")
        wait_until(lambda: world.hosts("default"))
        assert list(world.cluster.describe()["endpoints"]) == ["default"]
        assert [(one.name, one.answer) for one in world.cluster.followed()] == [
            ("endpoints of default", "1 objects")
        ]
        assert list(world.cluster.ports()) == [("default", "http", "web")]
        world.unfollow()
        assert list(world.cluster.followed()) == []
