"""Names in Rancher, over a metadata service on a real socket."""

from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.config.decode import Port
from meshproxy.metrics.tree import Tree
from meshproxy.namers import rancher
from meshproxy.namers.rancher import RancherNamer, RancherNamerConfig
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.naming.bound import Bound
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Ok, Var
from tests.kit.deps import namer_deps
from tests.kit.following import bound, following
from tests.kit.http_api import Fault
from tests.kit.k8s import wait_until
from tests.kit.rancher import RancherMetadata, container

FAULTS: list[Fault] = [
    401, 403, 404, 500, "reset", "not http", "garbage", "other json", "cut", "huge",
]  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rancher, "RETRY_S", 0.01)


@pytest.fixture
def server() -> Iterator[RancherMetadata]:
    with RancherMetadata() as server:
        server.put(container("10.0.0.1"))
        yield server


def build(server: RancherMetadata, metrics: Tree | None = None, **keys: Any) -> RancherNamer:
    config = RancherNamerConfig(experimental=True, **keys)
    where = Var(AddrBound(frozenset({Address("127.0.0.1", server.port)})))
    asked: list[str] = []

    def bind(path: Path) -> Any:
        asked.append(path.show())
        return Var(Ok(Leaf(Bound(path, where))))

    metrics = metrics or Tree()
    namer = config.build(namer_deps(config.full_prefix(), metrics=metrics, bind=bind))
    assert asked == ["/$/inet/rancher-metadata/80"]
    return namer


@pytest.mark.parametrize(
    ("name", "port"),
    [("/http/Shop/WEB/rest", 80), ("/https/shop/web", 443), ("/8080/shop/web", 8080),
     ("/admin/shop/web", 9000)],
)  # fmt: skip
def test_a_name_has_a_port_a_stack_and_a_service(
    server: RancherMetadata, name: str, port: int
) -> None:
    with following(build(server, port_mappings={"admin": Port(9000)}), name) as follow:
        follow.wait_addr(bound("10.0.0.1", port=port))
        assert follow.bound is not None
        consumed, residual = Path.parse(name).take(3), Path.parse(name).drop(3)
        assert follow.bound.id.show() == f"/#/io.l5d.rancher{consumed.show()}"
        assert follow.bound.residual == residual


def test_a_port_may_be_given_another_number(server: RancherMetadata) -> None:
    with following(build(server, port_mappings={"http": Port(8080)}), "/http/shop/web") as follow:
        follow.wait_addr(bound("10.0.0.1", port=8080))


@pytest.mark.parametrize(
    "name",
    ["/", "/http", "/http/shop", "/ftp/shop/web", "/0/shop/web", "/65536/shop/web",
     r"/http/\xff\xfe/web"],
)  # fmt: skip
def test_what_cannot_be_a_service_is_negative_and_nobody_is_asked(
    server: RancherMetadata, name: str
) -> None:
    assert build(server).lookup(Path.parse(name)) == NEG
    assert server.asked == []


def test_containers_come_and_go(server: RancherMetadata) -> None:
    metrics = Tree()
    with following(build(server, metrics, max_wait=7), "/http/shop/web") as follow:
        follow.wait_hosts("10.0.0.1")
        server.put(container("10.0.0.1"), container("10.0.0.2"), container("10.0.0.3", "other"))
        follow.wait_hosts("10.0.0.1", "10.0.0.2")
        server.put(container("10.0.0.2", state="stopped"))
        follow.wait_neg()
        server.put(container("10.0.0.2"))
        follow.wait_hosts("10.0.0.2")
    assert metrics.counter("metadata_versions").value == 4
    assert server.targets()[:3] == [
        "/2015-12-19/version?wait=true&maxWait=7&value=initial",
        "/2015-12-19/containers",
        "/2015-12-19/version?wait=true&maxWait=7&value=2",
    ]
    assert {asked.get("Host") for asked in server.asked} == {"rancher-metadata"}
    wait_until(lambda: not server.connections)


@pytest.mark.parametrize(
    "field",
    [{"primary_ip": None}, {"primary_ip": ""}, {"stack_name": None}, {"service_name": 7},
     {"state": "starting"}, {"state": None}],
)  # fmt: skip
def test_a_container_that_serves_nobody_is_left_out(
    server: RancherMetadata, field: dict[str, Any]
) -> None:
    server.put(container("10.0.0.1"), container("10.0.0.2", **field))
    with following(build(server), "/http/shop/web") as follow:
        follow.wait_hosts("10.0.0.1")


def test_all_names_share_one_watch(server: RancherMetadata) -> None:
    namer = build(server)
    follows = [following(namer, f"/http/shop/made-up-{n}") for n in range(20)]
    for follow in follows:
        follow.__enter__().wait_neg()
    assert server.connections == 1
    assert namer.describe()["containers"]["state"]["value"] == {"shop/web": ["10.0.0.1"]}
    assert [one.answer for one in namer.followed()] == ["1 entry"]
    for follow in follows:
        follow.__exit__(None, None, None)


@pytest.mark.parametrize("fault", FAULTS)
def test_before_the_first_answer_a_name_is_pending(server: RancherMetadata, fault: Fault) -> None:
    server.faults["containers"] = fault
    metrics = Tree()
    with following(build(server, metrics), "/http/shop/web") as follow:
        wait_until(lambda: metrics.counter("errors").value >= 2)
        assert follow.state == PENDING
        server.faults.clear()
        follow.wait_hosts("10.0.0.1")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("part", ["version", "containers"])
def test_after_an_answer_it_stays_while_the_service_fails(
    server: RancherMetadata, fault: Fault, part: str
) -> None:
    metrics = Tree()
    with following(build(server, metrics), "/http/shop/web") as follow:
        follow.wait_hosts("10.0.0.1")
        server.faults[part] = fault
        server.put(container("10.0.0.2"))
        server.cut()
        if part == "version" and fault in ("garbage", "other json"):  # any text is a version
            server.faults["containers"] = fault
        wait_until(lambda: metrics.counter("errors").value >= 2)
        assert follow.addr == bound("10.0.0.1")
        server.faults.clear()
        follow.wait_hosts("10.0.0.2")
