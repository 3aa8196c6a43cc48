"""Names in Consul, over an agent on a real socket."""

from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.config.decode import Port, Severity
from meshproxy.metrics.tree import Tree
from meshproxy.namers.consul import ConsulNamer, ConsulNamerConfig, TagWeightConfig
from meshproxy.naming.addr import ADDR_NEG, AddrBound, Address
from meshproxy.naming.nametree import NEG
from meshproxy.naming.path import Path
from meshproxy.var import Var
from tests.kit.consul import ConsulAgent
from tests.kit.deps import Literals, namer_deps
from tests.kit.following import bound, following
from tests.kit.http_api import Fault
from tests.kit.k8s import wait_until

FAULTS: list[Fault] = [
    401, 403, 404, 500, "reset", "not http", "garbage", "other json", "empty", "cut", "huge",
]  # fmt: skip


@pytest.fixture
def agent() -> Iterator[ConsulAgent]:
    with ConsulAgent() as agent:
        yield agent


def build(agent: ConsulAgent, metrics: Tree | None = None, **keys: Any) -> ConsulNamer:
    config = ConsulNamerConfig(host="127.0.0.1", port=Port(agent.port), **keys)
    resolver = Literals(node_test=Var(bound("10.9.9.9")))
    deps = namer_deps(config.full_prefix(), metrics=metrics or Tree(), resolver=resolver)
    return config.build(deps)


@pytest.mark.parametrize(
    ("keys", "name", "id_", "residual", "asked"),
    [
        ({}, "/dc1/Web/a/b", "/dc1/Web", "/a/b", "service/web?dc=dc1"),
        ({"include_tag": True}, "/dc1/V1/Web/a", "/dc1/V1/Web", "/a", "service/web?dc=dc1&tag=v1"),
        ({}, "/.local/web", "/.local/web", "/", "service/web?dc=dc1"),
    ],
)
def test_a_name_is_bound_while_the_service_has_nodes(
    agent: ConsulAgent, keys: dict[str, Any], name: str, id_: str, residual: str, asked: str
) -> None:
    with following(build(agent, **keys), name) as follow:
        follow.wait_neg()
        first = agent.register("web", "10.0.0.1", 80, tags=["v1"])
        follow.wait_hosts("10.0.0.1")
        assert follow.bound is not None
        assert follow.bound.id.show() == f"/#/io.l5d.consul{id_}"
        assert follow.bound.residual.show() == residual
        agent.register("web", "10.0.0.2", 80, tags=["v1"])
        follow.wait_hosts("10.0.0.1", "10.0.0.2")
        agent.deregister(first)
        follow.wait_hosts("10.0.0.2")
        agent.deregister("web-2")
        follow.wait_neg()
        assert follow.addr == ADDR_NEG
    assert agent.targets(asked)
    wait_until(lambda: not agent.connections)


@pytest.mark.parametrize(
    ("keys", "name"),
    [({}, "/"), ({}, "/dc1"), ({"include_tag": True}, "/dc1/web"), ({}, r"/dc1/\xff\xfe")],
)
def test_what_cannot_be_a_service_is_negative_and_nobody_is_asked(
    agent: ConsulAgent, keys: dict[str, Any], name: str
) -> None:
    assert build(agent, **keys).lookup(Path.parse(name)) == NEG
    assert agent.asked == []


def test_only_healthy_nodes_count_if_wanted(agent: ConsulAgent) -> None:
    sick = agent.register("web", "10.0.0.1", 80)
    agent.register("web", "10.0.0.2", 80)
    namer = build(agent, use_health_check=True, health_statuses=("passing", "warning"))
    with following(namer, "/dc1/web") as follow:
        follow.wait_hosts("10.0.0.1", "10.0.0.2")
        agent.check(sick, "passing", "critical")
        follow.wait_hosts("10.0.0.2")
        agent.check(sick, "passing", "warning")
        follow.wait_hosts("10.0.0.1", "10.0.0.2")


def test_weights_are_those_of_the_tags(agent: ConsulAgent) -> None:
    agent.register("web", "10.0.0.1", 80, tags=["big"])
    agent.register("web", "10.0.0.2", 80)
    namer = build(agent, weights=(TagWeightConfig(tag="big", weight=3.0),))
    expected = AddrBound(frozenset({Address("10.0.0.1", 80, 3.0), Address("10.0.0.2", 80)}))
    with following(namer, "/dc1/web") as follow:
        wait_until(lambda: follow.addr == expected)


def test_host_names_stand_for_their_addresses(agent: ConsulAgent) -> None:
    agent.register("web", "node.test", 80)
    agent.register("web", "10.0.0.2", 80)
    agent.register("web", "gone.test", 80)
    with following(build(agent), "/dc1/web") as follow:
        follow.wait_hosts("10.9.9.9", "10.0.0.2")


@pytest.mark.parametrize(
    ("keys", "name", "authority"),
    [
        ({}, "/dc1/Web", "web.service.dc1.a.test"),
        ({}, "/.local/web", "web.service.dc1.a.test"),
        ({"include_tag": True}, "/dc1/V1/Web", "v1.web.service.dc1.a.test"),
    ],
)
def test_endpoints_read_the_name_of_consuls_dns_in_host(
    agent: ConsulAgent, keys: dict[str, Any], name: str, authority: str
) -> None:
    agent.domain = "a.test."
    agent.register("web", "10.0.0.1", 80, tags=["v1"])
    with following(build(agent, set_host=True, **keys), name) as follow:
        follow.wait_hosts("10.0.0.1", authority=authority)
    assert len(agent.targets("/v1/agent/self")) == 1


def test_a_service_whose_name_cannot_stand_in_host_is_negative(agent: ConsulAgent) -> None:
    agent.register("w b", "10.0.0.1", 80)
    with following(build(agent, set_host=True), r"/dc1/w\x20b") as follow:
        follow.wait_neg()


@pytest.mark.parametrize("fault", FAULTS)
def test_before_the_first_answer_a_failure_makes_names_negative(
    agent: ConsulAgent, fault: Fault
) -> None:
    agent.register("web", "10.0.0.1", 80)
    agent.faults["service"] = fault
    metrics = Tree()
    with following(build(agent, metrics), "/dc1/web") as follow:
        follow.wait_neg()
        agent.faults.clear()
        follow.wait_hosts("10.0.0.1")
    scope = metrics.scope("#/io.l5d.consul", "service")
    assert scope.counter("errors").value >= 1


@pytest.mark.parametrize("name", ["/.local/web", "/dc1/web"])
@pytest.mark.parametrize("fault", [403, 500, "garbage"])
def test_names_that_need_the_agent_are_negative_until_it_says_who_it_is(
    agent: ConsulAgent, name: str, fault: Fault
) -> None:
    agent.register("web", "10.0.0.1", 80)
    agent.faults["self"] = fault
    with following(build(agent, set_host=True), name) as follow:
        follow.wait_neg()
        assert agent.targets("service") == []
        agent.faults.clear()
        follow.wait_hosts("10.0.0.1", authority="web.service.dc1.consul")


@pytest.mark.parametrize("fault", FAULTS)
def test_after_an_answer_it_stays_while_the_agent_fails(agent: ConsulAgent, fault: Fault) -> None:
    agent.register("web", "10.0.0.1", 80)
    metrics = Tree()
    with following(build(agent, metrics), "/dc1/web") as follow:
        follow.wait_hosts("10.0.0.1")
        agent.faults["service"] = fault
        agent.cut()
        errors = metrics.scope("#/io.l5d.consul", "service").counter("errors")
        wait_until(lambda: errors.value >= 2)
        assert follow.addr == bound("10.0.0.1")
        agent.register("web", "10.0.0.2", 80)
        agent.faults.clear()
        follow.wait_hosts("10.0.0.1", "10.0.0.2")


def test_an_agent_that_is_gone_and_comes_back_empty_is_believed(agent: ConsulAgent) -> None:
    agent.register("web", "10.0.0.1", 80)
    with following(build(agent), "/dc1/web") as follow:
        follow.wait_hosts("10.0.0.1")
        agent.close()
        agent.wipe()
        agent.listen()
        follow.wait_neg()
        agent.register("web", "10.0.0.3", 80)
        follow.wait_hosts("10.0.0.3")


def test_an_agent_that_does_not_hold_questions_is_asked_ten_times_a_second(
    agent: ConsulAgent,
) -> None:
    agent.blocks = False
    agent.register("web", "10.0.0.1", 80)
    with following(build(agent), "/dc1/web") as follow:
        follow.wait_hosts("10.0.0.1")
        wait_until(lambda: len(agent.asked) >= 3)
        agent.register("web", "10.0.0.2", 80)
        follow.wait_hosts("10.0.0.1", "10.0.0.2")
        assert len(agent.asked) < 10


def test_an_unknown_datacenter_is_negative(agent: ConsulAgent) -> None:
    with following(build(agent), "/dc9/web") as follow:
        follow.wait_neg()


def test_a_service_is_asked_for_once_however_many_follow_it(agent: ConsulAgent) -> None:
    agent.register("web", "10.0.0.1", 80)
    metrics = Tree()
    namer = build(agent, metrics)
    with following(namer, "/dc1/web/a") as one, following(namer, "/dc1/WEB/b") as other:
        one.wait_hosts("10.0.0.1")
        other.wait_hosts("10.0.0.1")
        assert agent.connections == 1
        assert list(namer.describe()) == ["/dc1/web"]
        assert [one.name for one in namer.followed()] == ["/dc1/web"]
        assert namer.describe()["/dc1/web"]["state"]["value"] == {
            "addresses": [{"host": "10.0.0.1", "port": 80, "weight": 1.0, "meta": {}}],
            "meta": {},
        }
    scope = metrics.scope("#/io.l5d.consul")
    counts = {name: scope.counter("service", name).value for name in ("opens", "closes", "cached")}
    assert counts == {"opens": 1, "closes": 1, "cached": 1}
    assert scope.counter("lookups").value == 2
    assert namer.describe() == {}


def test_a_token_and_a_mode_are_sent(agent: ConsulAgent) -> None:
    agent.token = "secret"
    agent.register("web", "10.0.0.1", 80)
    with following(build(agent, token="secret", consistency_mode="stale"), "/dc1/web") as follow:
        follow.wait_hosts("10.0.0.1")
    assert agent.targets()[0] == "/v1/catalog/service/web?stale=true&dc=dc1"
    assert agent.asked[0].get("Host") == f"127.0.0.1:{agent.port}"


def test_an_answer_over_the_limit_is_an_error(agent: ConsulAgent) -> None:
    for number in range(200):
        agent.register("web", f"10.0.0.{number}", 80, meta={"padding": "x" * 400})
    metrics = Tree()
    namer = build(agent, metrics, fixed_length_streamed_after_kb=64)
    with following(namer, "/dc1/web") as follow:
        follow.wait_neg()
    errors = metrics.scope("#/io.l5d.consul", "service").counter("errors", "too_large")
    assert errors.value >= 1


def test_what_has_no_effect_or_cannot_be_sent_is_noted() -> None:
    (problem,) = ConsulNamerConfig(health_statuses=("passing",)).check()
    assert (problem.key, problem.severity) == ("healthStatuses", Severity.WARNING)
    (problem,) = ConsulNamerConfig(token="a\nb").check()
    assert (problem.key, problem.severity) == ("token", Severity.ERROR)
    assert (
        list(ConsulNamerConfig(use_health_check=True, health_statuses=("critical",)).check()) == []
    )


def test_ten_thousand_nodes_with_their_checks_fit_into_the_default_limit(
    agent: ConsulAgent,
) -> None:
    for n in range(10_000):
        meta = {"what": "takes as much as the output of checks" * 40}
        agent.register("web", f"10.0.{n // 250}.{n % 250}", 80, meta=meta)
    with following(build(agent, use_health_check=True), "/dc1/web") as follow:
        hosts = [f"10.0.{n // 250}.{n % 250}" for n in range(10_000)]
        follow.wait_hosts(*hosts)
        agent.register("web", "10.1.0.1", 80)
        follow.wait_hosts(*hosts, "10.1.0.1")


def test_after_an_answer_over_the_limit_the_last_good_one_stays(agent: ConsulAgent) -> None:
    metrics = Tree()
    name = agent.register("web", "10.0.0.1", 80)
    with following(build(agent, metrics, fixed_length_streamed_after_kb=64), "/dc1/web") as follow:
        follow.wait_hosts("10.0.0.1")
        agent.register("web", "10.0.0.2", 80, id=name, meta={"much": "x" * 70_000})
        errors = metrics.scope("#/io.l5d.consul", "service").counter("errors", "too_large")
        wait_until(lambda: errors.value > 0)
        follow.wait_hosts("10.0.0.1")
        agent.register("web", "10.0.0.2", 80, id=name)
        follow.wait_hosts("10.0.0.2")
