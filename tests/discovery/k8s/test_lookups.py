"""Ports, labels and groups, over a Kubernetes API server on a real socket."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from meshproxy.discovery.k8s.api import ApiServer, Timing
from meshproxy.discovery.k8s.cluster import Cluster
from meshproxy.discovery.k8s.lookups import Found, WantedPort, addr_of, endpoints, ingress
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, AddrBound, Address
from meshproxy.var import PENDING, Activity, Ok, wait
from tests.kit import k8s
from tests.kit.k8s import KubeApi, endpoint_slice, subset, wait_until

HTTP = [{"name": "http", "port": 8080}]
ONE = frozenset({Address("10.0.0.1", 8080)})


class World:
    """An API server, and questions to it."""

    def __init__(self, api: KubeApi) -> None:
        self.api = api
        self.cluster = Cluster(ApiServer("127.0.0.1", api.port), Timing())

    def endpoints(
        self, port: str, service: str = "web", label: tuple[str, str] | None = None
    ) -> Activity[Found]:
        return endpoints(self.cluster, WantedPort("default", port, service, label), lambda: None)

    def found(self, *args: Any, **options: Any) -> Found:
        return settled(self.endpoints(*args, **options))

    def ingress(self, port: str) -> Found:
        return settled(ingress(self.cluster, WantedPort("default", port, "web"), lambda: None))


def settled(activity: Activity[Found]) -> Found:
    """Wait for an answer."""
    state = wait(activity, timeout_s=10)
    assert isinstance(state, Ok)
    return state.value


@pytest.fixture(params=["slices", "endpoints"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with KubeApi(has_slices=request.param == "slices") as api:
        yield World(api)


def test_a_named_port_has_the_addresses_of_the_groups_that_list_it(world: World) -> None:
    world.api.publish("web", ("10.0.0.1", "n1"), "10.0.0.2")
    assert world.found("http") == {
        Address("10.0.0.1", 8080, meta=(("nodeName", "n1"),)),
        Address("10.0.0.2", 8080),
    }


def test_an_unknown_service_or_port_is_not_found(world: World) -> None:
    world.api.publish("web", "10.0.0.1")
    assert world.found("https") is None
    assert world.found("http", "nobody") is None


def test_a_listed_port_without_hosts_is_found_empty(world: World) -> None:
    world.api.publish("web")
    assert world.found("http") == frozenset()


def test_a_service_scaled_to_nothing_is_not_found(world: World) -> None:
    world.api.apply(k8s.endpoints("web", []))
    world.api.apply(endpoint_slice("web", [], None))
    assert world.found("http") is None


def test_address_and_port_stay_together(world: World) -> None:
    other = [{"name": "http", "port": 9090}]
    world.api.apply(
        k8s.endpoints(
            "web", [subset([("10.0.0.1", None)], HTTP), subset([("10.0.0.2", None)], other)]
        )
    )
    world.api.apply(endpoint_slice("web", [("10.0.0.1", None)], HTTP, name="web-1"))
    world.api.apply(endpoint_slice("web", [("10.0.0.2", None)], other, name="web-2"))
    assert world.found("http") == {Address("10.0.0.1", 8080), Address("10.0.0.2", 9090)}


def test_a_label_must_have_its_value(world: World) -> None:
    world.api.publish("web", "10.0.0.1", labels={"version": "v1"})
    assert world.found("http", label=("version", "v1")) == ONE
    assert world.found("http", label=("version", "v2")) is None
    assert world.found("http", label=("tier", "v1")) is None


@pytest.mark.parametrize(
    ("port", "target", "expected"),
    [
        pytest.param("80", 8080, ONE, id="number"),
        pytest.param("80", None, ONE, id="the port itself"),
        pytest.param("80", "web", ONE, id="name of a port of the pods"),
        pytest.param("80", "https", ONE, id="name of another port of the service"),
        pytest.param("81", 8080, None, id="not a port of the service"),
    ],
)
@pytest.mark.parametrize("name", ["http", ""])
def test_a_numeric_port_is_that_of_the_service_whatever_its_target(
    world: World, port: str, target: int | str | None, expected: Found, name: str
) -> None:
    world.api.publish("web", "10.0.0.1", port_name=name)
    ports = [{"name": name, "port": 80, **({"targetPort": target} if target else {})}]
    world.api.apply(k8s.service("web", ports))
    assert world.found(port) == expected


def test_names_of_a_service_s_ports_are_not_those_of_its_pods_ports(world: World) -> None:
    hosts: list[tuple[str, str | None]] = [("10.0.0.1", None)]
    ports = [{"name": "a", "port": 8001}, {"name": "b", "port": 8002}]
    world.api.apply(k8s.endpoints("web", [subset(hosts, ports)]))
    world.api.apply(endpoint_slice("web", hosts, ports))
    crossed: list[dict[str, Any]] = [
        {"name": "a", "port": 81, "targetPort": "b"},
        {"name": "b", "port": 82, "targetPort": "a"},
        {"name": "c", "port": 83, "targetPort": "a"},
    ]
    world.api.apply(k8s.service("web", crossed))
    assert world.found("81") == world.found("a") == {Address("10.0.0.1", 8001)}
    assert world.found("82") == world.found("b") == {Address("10.0.0.1", 8002)}
    assert world.found("83") is None


def test_pods_may_have_a_named_target_at_different_ports(world: World) -> None:
    other = [{"name": "http", "port": 9090}]
    world.api.apply(
        k8s.endpoints(
            "web", [subset([("10.0.0.1", None)], HTTP), subset([("10.0.0.2", None)], other)]
        )
    )
    world.api.apply(endpoint_slice("web", [("10.0.0.1", None)], HTTP, name="web-1"))
    world.api.apply(endpoint_slice("web", [("10.0.0.2", None)], other, name="web-2"))
    world.api.apply(k8s.service("web", [{"name": "http", "port": 80, "targetPort": "web"}]))
    assert world.found("80") == {Address("10.0.0.1", 8080), Address("10.0.0.2", 9090)}


def test_a_numeric_target_holds_for_endpoints_that_do_not_name_the_port(world: World) -> None:
    world.api.publish("web", "10.0.0.1", port_name="old-name")
    world.api.apply(k8s.service("web", [{"name": "new-name", "port": 80, "targetPort": 7777}]))
    assert world.found("80") == {Address("10.0.0.1", 7777)}


def test_a_numeric_port_without_a_service_is_not_found(world: World) -> None:
    world.api.publish("web", "10.0.0.1")
    assert world.found("80") is None


def test_a_numeric_target_is_an_answer_even_without_endpoints(world: World) -> None:
    world.api.apply(k8s.service("web", [{"port": 80, "targetPort": 7777}]))
    assert world.found("80") == frozenset()
    assert world.found("80", label=("version", "v1")) is None


def test_services_are_watched_only_for_numeric_ports(world: World) -> None:
    world.api.publish("web", "10.0.0.1")
    world.found("http")
    assert not any("/services" in target for target in world.api.requests)
    world.found("80")
    assert any("/services" in target for target in world.api.requests)


def test_a_change_of_the_service_s_port_is_followed(world: World) -> None:
    world.api.publish("web", "10.0.0.1")
    world.api.apply(k8s.service("web", [{"name": "https", "port": 80, "targetPort": "web"}]))
    seen: list[Any] = []
    close: Callable[[], None] = world.endpoints("80").observe(seen.append)
    wait_until(lambda: len(world.api.watchers) == 2 and seen[-1] == Ok(None))
    world.api.apply(k8s.service("web", [{"name": "http", "port": 80, "targetPort": "web"}]))
    wait_until(lambda: seen[-1] == Ok(ONE))
    world.api.delete("services", "web")
    wait_until(lambda: seen[-1] == Ok(None))
    close()


def test_both_families_count_and_one_endpoint_counts_once() -> None:
    with KubeApi() as api:
        world = World(api)
        six = endpoint_slice("web", [("fd00::1", None)], HTTP, name="six", family="IPv6")
        api.apply(six)
        for name in ("one", "moved"):
            api.apply(endpoint_slice("web", [("10.0.0.1", name)], HTTP, name=name))
        api.apply(endpoint_slice("web", [("x.example", None)], HTTP, name="n", family="FQDN"))
        found = world.found("http")
    assert found is not None
    assert sorted(address.host for address in found) == ["10.0.0.1", "fd00::1"]


@pytest.mark.parametrize(
    ("port", "ingress", "expected"),
    [
        pytest.param("http", [{"ip": "192.0.2.1"}], {Address("192.0.2.1", 80)}, id="ip"),
        pytest.param("http", [{"hostname": "lb"}], {Address("lb", 80)}, id="host name"),
        pytest.param("http", None, None, id="no load balancer"),
        pytest.param("nope", [{"ip": "192.0.2.1"}], None, id="no such port"),
        pytest.param("80", [{"ip": "192.0.2.1"}], {Address("192.0.2.1", 80)}, id="by number"),
        pytest.param("8000", [{"ip": "192.0.2.1"}], {Address("192.0.2.1", 8000)}, id="unnamed"),
        pytest.param("8080", [{"ip": "192.0.2.1"}], None, id="a target is not a port"),
    ],
)
def test_a_load_balancer_has_the_port_of_the_service(
    port: str, ingress: list[dict[str, Any]] | None, expected: Found
) -> None:
    with KubeApi() as api:
        ports = [
            {"name": "http", "port": 80, "targetPort": 8080},
            {"port": 8000, "targetPort": "http"},
        ]
        api.apply(k8s.service("web", ports, ingress=ingress))
        assert World(api).ingress(port) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (WantedPort("default", "http", "web"), True),
        (WantedPort("default", "80", "web"), True),
        (WantedPort("default", "65535", "web"), True),
        (WantedPort("default", "0", "web"), False),
        (WantedPort("default", "65536", "web"), False),
        (WantedPort("default", "9" * 5000, "web"), False),
        (WantedPort("default", "-1", "web"), False),
        (WantedPort("default", "http", "linkerd.io"), False),
        (WantedPort("default", "http", "web:80"), False),
        (WantedPort("default", "http", "../../secrets"), False),
        (WantedPort("a b", "http", "web"), False),
        (WantedPort("default", "h_p", "web"), False),
    ],
)
def test_what_kubernetes_could_have(wanted: WantedPort, expected: bool) -> None:
    assert wanted.is_possible is expected


def test_the_address_set_of_a_state() -> None:
    assert addr_of(PENDING) == ADDR_PENDING
    assert addr_of(Ok(None)) == ADDR_NEG
    assert addr_of(Ok(ONE)) == AddrBound(ONE)
