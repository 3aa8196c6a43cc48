"""Names in Marathon, over an API on a real socket."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from meshproxy.config.decode import Port, Severity
from meshproxy.errors import BindingFailed
from meshproxy.metrics.tree import Tree
from meshproxy.namers.marathon import BASIC, DCOS, MarathonNamer, MarathonNamerConfig
from meshproxy.naming.addr import ADDR_NEG
from meshproxy.naming.nametree import NEG
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Var
from tests.kit.deps import Literals, namer_deps
from tests.kit.following import bound, following
from tests.kit.http_api import Fault
from tests.kit.k8s import wait_until
from tests.kit.marathon import LOGIN, Marathon, service_account

FAULTS: list[Fault] = [
    401, 403, 404, 500, "reset", "not http", "garbage", "other json", "empty", "cut", "huge",
]  # fmt: skip


@pytest.fixture
def server() -> Iterator[Marathon]:
    with Marathon() as server:
        yield server


def build(
    server: Marathon,
    metrics: Tree | None = None,
    environ: Mapping[str, str] | None = None,
    **keys: Any,
) -> MarathonNamer:
    keys = {"host": "127.0.0.1", "port": Port(server.port), "ttl_ms": 20, "jitter_ms": 5} | keys
    config = MarathonNamerConfig(**keys)
    deps = namer_deps(
        config.full_prefix(),
        metrics=metrics or Tree(),
        resolver=Literals(agent_test=Var(bound("10.9.9.9"))),
        environ=environ or {},
    )
    return config.build(deps)


def test_the_shortest_id_that_exists_is_taken(server: Marathon) -> None:
    server.run("/shop/web", ("10.0.0.1", 80))
    namer = build(server)
    with following(namer, "/Shop/WEB/Rest") as follow, following(namer, "/shop/web") as other:
        follow.wait_hosts("10.0.0.1")
        assert follow.bound is not None
        assert follow.bound.id.show() == "/#/io.l5d.marathon/shop/web"
        assert follow.bound.residual.show() == "/Rest"
        other.wait_hosts("10.0.0.1")
        assert list(namer.describe()) == ["apps", "/shop/web"]
        assert [one.name for one in namer.followed()] == ["apps", "/shop/web"]
        server.run("/shop", ("10.0.0.2", 80))
        wait_until(lambda: "/shop" in namer.describe())
    wait_until(lambda: not server.connections)
    assert namer.describe() == {}


def test_apps_come_change_and_go(server: Marathon) -> None:
    with following(build(server), "/web") as follow:
        follow.wait_neg()
        server.run("/web", ("10.0.0.1", 80))
        follow.wait_hosts("10.0.0.1")
        server.run("/web", ("10.0.0.1", 80), ("agent.test", 80))
        follow.wait_hosts("10.0.0.1", "10.9.9.9")
        server.run("/web")
        follow.wait_neg()
        assert follow.addr == ADDR_NEG
        server.run("/web", ("10.0.0.2", 80))
        follow.wait_hosts("10.0.0.2")
        server.destroy("/web")
        follow.wait_neg()


def test_only_healthy_tasks_count_if_wanted(server: Marathon) -> None:
    staging = {"host": "10.0.0.2", "ports": [80], "state": "TASK_STAGING"}
    server.run("/web", ("10.0.0.1", 80), staging)
    with following(build(server), "/web") as follow:
        follow.wait_hosts("10.0.0.1", "10.0.0.2")
    with following(build(server, use_health_check=True), "/web") as follow:
        follow.wait_hosts("10.0.0.1")


def test_a_name_without_segments_is_negative(server: Marathon) -> None:
    assert build(server).lookup(Path()) == NEG


@pytest.mark.parametrize("part", ["v2/apps", "embed"])
@pytest.mark.parametrize("fault", FAULTS)
def test_before_the_first_answer_a_failure_is_that_of_the_name(
    server: Marathon, fault: Fault, part: str
) -> None:
    server.run("/web", ("10.0.0.1", 80))
    server.faults[part] = fault
    with following(build(server), "/web") as follow:
        wait_until(lambda: isinstance(follow.state, Failed))
        assert isinstance(follow.state, Failed)
        assert isinstance(follow.state.error, BindingFailed)
        assert str(follow.state.error).startswith("Marathon: ")
        server.faults.clear()
        follow.wait_hosts("10.0.0.1")


@pytest.mark.parametrize("fault", FAULTS)
def test_after_an_answer_it_stays_while_marathon_fails(server: Marathon, fault: Fault) -> None:
    server.run("/web", ("10.0.0.1", 80))
    metrics = Tree()
    with following(build(server, metrics), "/web") as follow:
        follow.wait_hosts("10.0.0.1")
        server.faults["/"] = fault
        errors = [metrics.scope(kind).counter("errors") for kind in ("apps", "app")]
        wait_until(lambda: all(one.value >= 2 for one in errors))
        assert follow.addr == bound("10.0.0.1")
        server.run("/web", ("10.0.0.2", 80))
        server.faults.clear()
        follow.wait_hosts("10.0.0.2")


def test_the_questions_go_where_dst_leads(server: Marathon) -> None:
    server.run("/web", ("10.0.0.1", 80))
    dst = Path.parse(f"/$/inet/127.0.0.1/{server.port}")
    namer = build(server, host="marathon.mesos", port=Port(1), dst=dst)
    with following(namer, "/web") as follow:
        follow.wait_hosts("10.0.0.1")
    assert {asked.get("Host") for asked in server.asked} == {"marathon.mesos"}


def test_a_prefix_goes_in_front_of_every_path() -> None:
    with Marathon(uri_prefix="/service/marathon") as server:
        server.run("/web", ("10.0.0.1", 80))
        with following(build(server, uri_prefix="/service/marathon/"), "/web") as follow:
            follow.wait_hosts("10.0.0.1")


def test_a_password_is_taken_from_the_environment(server: Marathon) -> None:
    server.basic = ("user", "password")
    server.run("/web", ("10.0.0.1", 80))
    credential = base64.b64encode(b"user:password").decode()
    with following(build(server, environ={BASIC: credential}), "/web") as follow:
        follow.wait_hosts("10.0.0.1")


def test_a_service_account_logs_in_and_wins(server: Marathon) -> None:
    text, server.accounts["me"] = service_account("me")
    server.run("/web", ("10.0.0.1", 80))
    with following(build(server, environ={DCOS: text, BASIC: "x"}), "/web") as follow:
        follow.wait_hosts("10.0.0.1")
        server.expire()
        server.run("/web", ("10.0.0.2", 80))
        follow.wait_hosts("10.0.0.2")
    assert len(server.targets(LOGIN)) == 2


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({DCOS: "{"}, f"the environment variable {DCOS} is not JSON"),
        ({DCOS: "{}"}, f"the environment variable {DCOS} needs login_endpoint"),
        ({BASIC: "a\nb"}, f"the environment variable {BASIC} is not Base64"),
    ],
)
def test_credentials_of_no_use_are_refused(
    server: Marathon, environ: dict[str, str], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        build(server, environ=environ)


def test_names_that_are_made_up_cost_nothing(server: Marathon) -> None:
    server.run("/web", ("10.0.0.1", 80))
    namer = build(server, ttl_ms=60_000)
    follows = [following(namer, f"/made-up-{n}") for n in range(20)]
    for follow in follows:
        follow.__enter__().wait_neg()
    assert server.targets() == ["/v2/apps"]
    for follow in follows:
        follow.__exit__(None, None, None)


def test_its_state_is_told(server: Marathon) -> None:
    server.run("/web", ("10.0.0.1", 80))
    namer = build(server)
    with following(namer, "/web") as follow:
        follow.wait_hosts("10.0.0.1")
        told = namer.describe()
    assert told["apps"]["state"]["value"] == ["/web"]
    assert told["/web"]["state"]["value"] == [
        {"host": "10.0.0.1", "port": 80, "weight": 1.0, "meta": {}}
    ]


def test_a_prefix_that_is_no_path_is_refused() -> None:
    (problem,) = MarathonNamerConfig(uri_prefix="marathon").check()
    assert (problem.key, problem.severity) == ("uriPrefix", Severity.ERROR)
    assert list(MarathonNamerConfig(uri_prefix="/marathon").check()) == []
