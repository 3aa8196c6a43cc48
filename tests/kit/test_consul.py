"""The agent's double, as an independent client sees it: py-consul."""

from collections.abc import Iterator
from threading import Thread

import consul
import pytest

from .consul import ConsulAgent
from .k8s import wait_until


@pytest.fixture
def agent() -> Iterator[ConsulAgent]:
    with ConsulAgent() as agent:
        yield agent


@pytest.fixture
def client(agent: ConsulAgent) -> Iterator[consul.Consul]:
    client = consul.Consul(host="127.0.0.1", port=agent.port)
    yield client
    client.http.session.close()


def test_what_a_client_registers_is_in_the_catalog(
    agent: ConsulAgent, client: consul.Consul
) -> None:
    assert client.agent.service.register(
        "web", "web-1", address="10.0.0.1", port=80, tags=["v1"], meta={"a": "b"}
    )
    index, nodes = client.catalog.service("web")
    assert int(index) > 1
    (node,) = nodes
    assert (node["ServiceAddress"], node["ServicePort"]) == ("10.0.0.1", 80)
    assert (node["ServiceTags"], node["ServiceMeta"]) == (["v1"], {"a": "b"})
    assert client.catalog.service("web", tag="v2")[1] == []
    assert client.catalog.services()[1]["web"] == ["v1"]
    assert client.agent.service.deregister("web-1")
    assert client.catalog.service("web")[1] == []
    assert agent.instances == {}


def test_a_client_may_wait_for_a_change(agent: ConsulAgent, client: consul.Consul) -> None:
    agent.register("web", "10.0.0.1", 80)
    index, _ = client.health.service("web")
    found: list[object] = []

    def wait() -> None:
        found.append(client.health.service("web", index=index, wait="10s"))

    waiting = Thread(target=wait)
    waiting.start()
    wait_until(lambda: agent.targets("wait"))
    agent.register("web", "10.0.0.2", 80)
    waiting.join()
    ((later, nodes),) = found
    assert int(later) > int(index)
    assert {node["Service"]["Address"] for node in nodes} == {"10.0.0.1", "10.0.0.2"}


def test_a_wait_ends_with_what_there_is(agent: ConsulAgent, client: consul.Consul) -> None:
    agent.register("web", "10.0.0.1", 80)
    index, nodes = client.catalog.service("web")
    assert client.catalog.service("web", index=index, wait="1ms") == (index, nodes)


def test_only_healthy_nodes_pass(agent: ConsulAgent, client: consul.Consul) -> None:
    agent.register("web", "10.0.0.1", 80)
    bad = agent.register("web", "10.0.0.2", 80)
    agent.check(bad, "passing", "critical")
    _, passing = client.health.service("web", passing=True)
    assert [node["Service"]["Address"] for node in passing] == ["10.0.0.1"]
    assert len(client.health.service("web")[1]) == 2


def test_keys_have_indexes_even_when_they_are_absent(
    agent: ConsulAgent, client: consul.Consul
) -> None:
    index, absent = client.kv.get("a/b")
    assert absent is None
    assert int(index) >= 1
    assert client.kv.put("a/b", "text")
    index, entry = client.kv.get("a/b")
    assert (entry["Key"], entry["Value"]) == ("a/b", b"text")
    assert client.kv.delete("a/b")
    assert "a/b" not in agent.keys


def test_who_has_no_token_is_refused(agent: ConsulAgent, client: consul.Consul) -> None:
    agent.token = "secret"
    with pytest.raises(consul.ACLPermissionDenied):
        client.catalog.service("web")
    assert client.catalog.service("web", token="secret")[1] == []


def test_an_unknown_datacenter_is_an_error(client: consul.Consul) -> None:
    with pytest.raises(consul.ConsulException, match="No path to datacenter"):
        client.catalog.service("web", dc="dc9")


def test_an_agent_knows_itself(client: consul.Consul) -> None:
    assert client.agent.self()["Config"]["Datacenter"] == "dc1"
