"""What is read of Consul's answers, and how it is asked for changes."""

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import gevent
import pytest

from meshproxy.discovery import consul
from meshproxy.discovery.consul import (
    Agent,
    Consul,
    NodeFilter,
    ServiceKey,
    ServiceNodes,
    token_headers,
)
from meshproxy.discovery.watching.api import Api, Bounds
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.var import Var
from tests.kit.consul import ConsulAgent
from tests.kit.http_api import Asked, HttpApi, Said
from tests.kit.k8s import wait_until

WEB = ServiceKey("dc1", "web")


@pytest.fixture
def agent() -> Iterator[ConsulAgent]:
    with ConsulAgent() as agent:
        yield agent


def api_of(server: HttpApi, **more: Any) -> Api:
    where = Var(AddrBound(frozenset({Address("127.0.0.1", server.port)})))
    return Api(where, "consul:8500", bounds=Bounds(pace_s=0.0, head_s=1.0), **more)


def first(server: HttpApi, key: ServiceKey = WEB, **nodes: Any) -> ServiceNodes:
    """Return the first answer about a service."""
    asker = Consul(api_of(server), nodes=NodeFilter(**nodes))
    with (
        closing(Line(asker.api, lambda: None)) as line,
        closing(asker.service(line, key)) as answers,
    ):
        return next(answers)


def hosts(service: ServiceNodes) -> list[str]:
    return sorted(each.host for each in service.members.literal | service.members.named)


class Following:
    """Takes one answer after the other from a generator, in a greenlet of its own."""

    def __init__(self, api: Api, answers: Generator[Any, None, None], line: Line) -> None:
        self.api = api
        self.seen: list[Any] = []
        self.failure: ApiFailure | None = None
        self._line = line
        self._greenlet = gevent.spawn(self._run, answers)

    def _run(self, answers: Generator[Any, None, None]) -> None:
        try:
            with closing(answers):
                for answer in answers:
                    self.seen.append(answer)
        except (ApiFailure, Malformed) as failure:
            self.failure = failure

    def wait(self, count: int) -> None:
        wait_until(lambda: len(self.seen) >= count)

    def close(self) -> None:
        self._greenlet.kill()
        self._line.close()


def follow_service(asker: Consul, key: ServiceKey = WEB) -> Following:
    line = Line(asker.api, lambda: None)
    return Following(asker.api, asker.service(line, key), line)


def test_the_questions_are_those_of_linkerd(agent: ConsulAgent) -> None:
    agent.register("web", "10.0.0.1", 80)
    first(agent)
    first(agent, ServiceKey("dc1", "a/b", "v 1"))
    first(agent, statuses=frozenset({"passing"}))
    first(agent, statuses=frozenset({"passing", "warning"}))
    assert agent.targets() == [
        "/v1/catalog/service/web?dc=dc1",
        "/v1/catalog/service/a%2Fb?dc=dc1&tag=v%201",
        "/v1/health/service/web?dc=dc1&passing=true",
        "/v1/health/service/web?dc=dc1&passing=false",
    ]


@pytest.mark.parametrize("mode", ["stale", "consistent"])
def test_the_mode_is_asked_for_first_and_the_index_of_the_answer_next(
    agent: ConsulAgent, mode: consul.Consistency
) -> None:
    agent.register("web", "10.0.0.1", 80)
    with closing(follow_service(Consul(api_of(agent), mode))) as following:
        wait_until(lambda: len(agent.asked) == 2)
        assert following.failure is None
    assert agent.targets() == [
        f"/v1/catalog/service/web?{mode}=true&dc=dc1",
        f"/v1/catalog/service/web?{mode}=true&index=11&dc=dc1",
    ]


def test_a_change_comes_at_once_and_a_node_that_stays_is_the_same_object(
    agent: ConsulAgent,
) -> None:
    agent.register("web", "10.0.0.1", 80)
    with closing(follow_service(Consul(api_of(agent)))) as following:
        wait_until(lambda: agent.answering)
        agent.register("web", "10.0.0.2", 80)
        following.wait(2)
        assert list(map(hosts, following.seen)) == [["10.0.0.1"], ["10.0.0.1", "10.0.0.2"]]
        before, after = (seen.members.literal for seen in following.seen)
        (kept,) = before
        assert any(each is kept for each in after)


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (["7", "9"], [None, "7", "9"]),
        (["7", "7"], [None, "7", "7"]),
        (["7", "3", "3"], [None, "7", None, "3"]),
        (["0", "5"], [None, None, "5"]),
        (["x", "5"], [None, None, "5"]),
        (["-1", "5"], [None, None, "5"]),
        (["9" * 40, "5"], [None, None, "5"]),
        ([""], [None, None]),
    ],
)
def test_an_index_that_goes_back_or_is_none_is_not_sent(
    given: list[str], asked: list[str | None]
) -> None:
    class Server(HttpApi):
        def answer(self, _: Asked) -> Said:
            if not given:
                self.wait(lambda: False, 60)
            return Said(body=b"[]", headers=(("X-Consul-Index", given.pop(0)),))

    with Server() as server, closing(follow_service(Consul(api_of(server)))):
        wait_until(lambda: len(server.asked) == len(asked))
        assert [one.query.get("index") for one in server.asked] == asked


def test_an_answer_without_an_index_is_none(agent: ConsulAgent) -> None:
    agent.says_index = False
    with closing(follow_service(Consul(api_of(agent)))) as following:
        wait_until(lambda: following.failure)
        assert "X-Consul-Index" in str(following.failure)
        assert following.seen == []


def test_without_a_place_nothing_is_held(
    agent: ConsulAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consul, "POLL_S", 0.001)
    asker = Consul(api_of(agent))
    places = [asker.api.place() for _ in range(100)]
    assert all(place.__enter__() for place in places)
    with closing(Line(asker.api, lambda: None)) as line:
        assert [hosts(answer) for answer in asker.service(line, WEB)] == [[]]
    assert agent.targets("index") == []


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({}, ("10.0.0.1", 80)),
        ({"ServiceAddress": ""}, ("192.0.2.1", 80)),
        ({"ServiceAddress": None}, ("192.0.2.1", 80)),
        ({"ServiceAddress": "", "Address": ""}, None),
        ({"ServicePort": 0}, None),
        ({"ServicePort": None}, None),
        ({"ServicePort": "80"}, None),
        ({"ServicePort": 65536}, None),
        ({"ServicePort": -1}, None),
        ({"ServiceAddress": 7}, None),
        ({"ServiceAddress": ["10.0.0.1"]}, None),
        ({"ServiceAddress": "web.test"}, ("web.test", 80)),
        ({"ServiceAddress": "::1"}, ("::1", 80)),
    ],
)
def test_a_node_is_reached_at_the_address_of_its_service_or_its_own(
    node: dict[str, Any], expected: tuple[str, int] | None
) -> None:
    sent = {"Address": "192.0.2.1", "ServiceAddress": "10.0.0.1", "ServicePort": 80, **node}
    with Saying([sent, {"ServiceAddress": "10.0.0.7", "ServicePort": 7}]) as server:
        members = first(server).members
    found = {(each.host, each.port) for each in members.literal | members.named}
    assert found == {("10.0.0.7", 7)} | ({expected} if expected else set())


def test_the_address_of_the_node_may_be_preferred(agent: ConsulAgent) -> None:
    agent.register("web", "10.0.0.1", 80, node_address="192.0.2.9")
    for statuses in (None, frozenset({"passing"})):
        found = first(agent, prefers_service_address=False, statuses=statuses)
        assert hosts(found) == ["192.0.2.9"]


@pytest.mark.parametrize(
    ("tags", "weight"),
    [([], 1.0), (["other"], 1.0), (["light"], 0.5), (["light", "heavy"], 4.0)],
)
def test_the_highest_weight_of_the_tags_counts(
    agent: ConsulAgent, tags: list[str], weight: float
) -> None:
    agent.register("web", "10.0.0.1", 80, tags=tags)
    weights = {"light": 0.5, "heavy": 4.0}
    for statuses in (None, frozenset({"passing"})):
        (address,) = first(agent, weights=weights, statuses=statuses).members.literal
        assert address == Address("10.0.0.1", 80, weight)


@pytest.mark.parametrize(
    ("checks", "status"),
    [
        ([], "passing"),
        (["passing", "passing"], "passing"),
        (["passing", "unheard of"], "passing"),
        (["passing", "warning"], "warning"),
        (["warning", "critical", "passing"], "critical"),
        (["maintenance", "critical"], "maintenance"),
    ],
)
def test_the_worst_check_counts(agent: ConsulAgent, checks: list[str], status: str) -> None:
    agent.register("web", "10.0.0.1", 80, checks=checks)
    states = ("passing", "warning", "critical", "maintenance")
    found = [
        state for state in states if hosts(first(agent, statuses=frozenset({state, "no such"})))
    ]
    assert found == [status]


def test_metadata_is_kept_if_wanted(agent: ConsulAgent) -> None:
    node_meta = {"rack": "r1"}
    agent.register("web", "10.0.0.1", 80, meta={"version": "1"}, node_meta=node_meta)
    agent.register("web", "10.0.0.2", 80, meta={"version": "2"})
    for statuses in (None, frozenset({"passing"})):
        found = first(agent, keeps_meta=True, statuses=statuses)
        assert found.meta == (("version", "1"),)
        metas = {each.host: each.meta for each in found.members.literal}
        assert metas == {"10.0.0.1": (("rack", "r1"),), "10.0.0.2": ()}
        without = first(agent, statuses=statuses)
        assert without.meta == ()
        assert {each.meta for each in without.members.literal} == {()}


@pytest.mark.parametrize(
    "sent",
    [{"a": 1}, [1], ["x"], [None], None, [{"Node": 1, "Service": {}}], [{"Checks": {"a": 1}}]],
)
def test_what_is_no_list_of_nodes_is_malformed(sent: object) -> None:
    with Saying(sent) as server, pytest.raises(Malformed):
        first(server, statuses=frozenset({"passing"}))


def test_an_unknown_datacenter_is_a_failure(agent: ConsulAgent) -> None:
    with pytest.raises(ApiFailure, match="No path to datacenter") as raised:
        first(agent, ServiceKey("dc9", "web"))
    assert raised.value.reason is Reason.STATUS


def test_a_token_goes_with_every_question(agent: ConsulAgent) -> None:
    agent.token = "secret"
    agent.register("web", "10.0.0.1", 80)
    with pytest.raises(ApiFailure, match="Permission denied"):
        first(agent)
    asker = Consul(api_of(agent, headers=token_headers("secret")))
    with closing(follow_service(asker)) as following:
        following.wait(1)
    assert token_headers(None) == {}


def test_a_key_is_followed_while_it_is_there_and_while_it_is_not(agent: ConsulAgent) -> None:
    asker = Consul(api_of(agent), "stale")
    line = Line(asker.api, lambda: None)
    key = "namerd/dtabs/default"
    with closing(Following(asker.api, asker.value(line, key, "dc1"), line)) as following:
        wait_until(lambda: agent.targets("index"))
        agent.put(key, b"/a => /b")
        following.wait(2)
        wait_until(lambda: len(agent.targets("index")) == 2)
        agent.delete(key)
        following.wait(3)
        wait_until(lambda: len(agent.targets("index")) == 3)
        agent.put(key, b"")
        following.wait(4)
        assert following.seen == [None, b"/a => /b", None, b""]
        assert following.failure is None
    assert agent.targets()[0] == "/v1/kv/namerd/dtabs/default?stale=true&raw=true&dc=dc1"


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize(
    ("domain", "expected"),
    [("consul.", "consul"), (".a.test.", "a.test"), ("", "consul")],
)
def test_an_agent_says_where_it_is(
    agent: ConsulAgent, domain: str, expected: str, is_old: bool
) -> None:
    agent.domain, agent.is_old = domain, is_old
    asker = Consul(api_of(agent))
    with closing(Line(asker.api, lambda: None)) as line:
        assert next(asker.agent(line)) == Agent("dc1", expected)
    assert agent.targets() == ["/v1/agent/self"]


@pytest.mark.parametrize("sent", [{}, {"Config": {"Datacenter": 1}}, [], {"Config": []}])
def test_an_agent_that_does_not_is_malformed(sent: object) -> None:
    with Saying(sent) as server:
        asker = Consul(api_of(server))
        with closing(Line(asker.api, lambda: None)) as line, pytest.raises(Malformed):
            next(asker.agent(line))


class Saying(HttpApi):
    """Says the same to everything."""

    def __init__(self, sent: object) -> None:
        self._sent = sent
        super().__init__()

    def answer(self, _: Asked) -> Said:
        return Said(body=json.dumps(self._sent).encode(), headers=(("X-Consul-Index", "1"),))
