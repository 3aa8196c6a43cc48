from typing import Any

import pytest

from meshproxy.discovery.k8s.objects import (
    Group,
    Host,
    Malformed,
    Service,
    ServicePort,
    is_dns_label,
    read_endpoints,
    read_service,
    read_slice,
)
from tests.kit.k8s import endpoint_slice, endpoints, service, subset

HTTP = {"name": "http", "port": 8080, "protocol": "TCP"}


def test_each_subset_of_endpoints_keeps_its_own_ports() -> None:
    obj = endpoints(
        "web",
        [
            subset([("10.0.0.1", "n1")], [HTTP]),
            subset([("10.0.0.2", None)], [{"name": "http", "port": 9090}]),
        ],
        labels={"tier": "front"},
    )
    entry = read_endpoints(obj)
    assert (entry.name, entry.owner) == ("web", "web")
    assert entry.values == (
        Group({"http": 8080}, (Host("10.0.0.1", "n1"),), {"tier": "front"}),
        Group({"http": 9090}, (Host("10.0.0.2", None),), {"tier": "front"}),
    )


def test_addresses_that_are_not_ready_leave_the_ports_alone() -> None:
    obj = endpoints("web", [subset([], [HTTP], not_ready=[("10.0.0.1", "n1")])])
    assert read_endpoints(obj).values == (Group({"http": 8080}, (), {}),)


@pytest.mark.parametrize("unnamed", [{}, {"name": ""}, {"name": None}])
def test_a_port_without_a_name_is_kept_and_one_of_another_protocol_or_no_number_is_not(
    unnamed: dict[str, Any],
) -> None:
    ports = [{"port": 1, **unnamed}, {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "x"}]
    assert read_endpoints(endpoints("web", [subset([], ports)])).values[0].ports == {"": 1}
    assert read_slice(endpoint_slice("web", [], ports)).values[0].ports == {"": 1}


@pytest.mark.parametrize(("ready", "count"), [(True, 1), (None, 1), (False, 0)])
def test_a_slice_counts_endpoints_unless_they_are_not_ready(ready: bool | None, count: int) -> None:
    obj = endpoint_slice("web", [("10.0.0.1", None)], [HTTP], name="web-x", ready=ready)
    entry = read_slice(obj)
    assert (entry.name, entry.owner) == ("web-x", "web")
    assert len(entry.values[0].hosts) == count


def test_a_slice_of_names_is_empty() -> None:
    obj = endpoint_slice("web", [("example.org", None)], [HTTP], family="FQDN")
    assert read_slice(obj).values == ()


def test_a_slice_without_ports_has_none() -> None:
    assert read_slice(endpoint_slice("web", [], None)).values[0].ports == {}


def test_a_service_maps_its_ports() -> None:
    ports: list[dict[str, Any]] = [
        {"name": "a", "port": 80, "targetPort": 8080},
        {"name": "b", "port": 81, "targetPort": "web"},
        {"name": "c", "port": 82, "targetPort": "8082"},
        {"port": 83},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    assert read_service(service("web", ports)).values == (
        Service(
            (
                ServicePort("a", 80, 8080),
                ServicePort("b", 81, "web"),
                ServicePort("c", 82, 8082),
                ServicePort("", 83, 83),
            ),
            None,
            {},
        ),
    )


@pytest.mark.parametrize(
    ("ingress", "expected"),
    [
        ([], None),
        ([{"ip": "192.0.2.1"}], "192.0.2.1"),
        ([{"ip": "192.0.2.1", "hostname": "lb.example"}], "lb.example"),
        ([{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}], "192.0.2.2"),
    ],
)
def test_the_last_ingress_of_a_load_balancer_counts(
    ingress: list[dict[str, Any]], expected: str | None
) -> None:
    assert read_service(service("web", [], ingress=ingress)).values[0].ingress == expected


def test_a_service_without_status_has_no_ports() -> None:
    obj = service("web", [{"port": 80}])
    del obj["status"]
    assert read_service(obj).values[0].ports == ()


@pytest.mark.parametrize(
    "obj",
    [
        None,
        [],
        {},
        {"metadata": {"name": 5}},
        {"metadata": "x"},
        endpoints("web", "x"),  # type: ignore[arg-type]
        endpoints("web", ["x"]),  # type: ignore[list-item]
        endpoints("web", [{"addresses": [{}]}]),
        endpoints("web", [{"addresses": [{"ip": 7}]}]),
        endpoints("web", [{"ports": [{"name": "http", "port": "80"}]}]),
        endpoints("web", [{"ports": [{"name": "http", "port": 70000}]}]),
    ],
)
def test_what_is_no_endpoints_object_is_malformed(obj: object) -> None:
    with pytest.raises(Malformed):
        read_endpoints(obj)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", True), ("a", True), ("world-v1", True), ("0a", True), ("a" * 63, True),
        ("", False), ("a" * 64, False), ("-a", False), ("a-", False), ("Hello", False),
        ("linkerd.io", False), ("a/b", False), ("a\n", False), ("é", False), ("a:80", False),
    ],
)  # fmt: skip
def test_dns_labels(text: str, expected: bool) -> None:
    assert is_dns_label(text) is expected
