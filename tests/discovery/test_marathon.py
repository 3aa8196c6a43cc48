"""What is read of Marathon's answers."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from meshproxy.discovery.marathon import Marathon
from meshproxy.discovery.members import Members
from meshproxy.discovery.watching.api import Api, Bounds
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.discovery.watching.failure import ApiFailure
from meshproxy.discovery.watching.line import Line
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.naming.path import Path
from meshproxy.var import Var
from tests.kit.http_api import Asked, HttpApi, Said
from tests.kit.marathon import Marathon as Server

WEB = Path.parse("/shop/web")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def of(server: HttpApi, uri_prefix: str = "", **more: Any) -> Marathon:
    where = Var(AddrBound(frozenset({Address("127.0.0.1", server.port)})))
    return Marathon(Api(where, "marathon.mesos", bounds=Bounds(pace_s=0.0)), uri_prefix, **more)


def apps(marathon: Marathon) -> list[str]:
    with closing(Line(marathon.api, lambda: None)) as line:
        return sorted(app.show() for app in marathon.apps(line))


def members(marathon: Marathon, app: Path = WEB) -> Members:
    with closing(Line(marathon.api, lambda: None)) as line:
        return marathon.members(line, app)


def hosts(found: Members) -> list[tuple[str, int]]:
    return sorted((each.host, each.port) for each in found.literal | found.named)


def test_the_questions_are_those_of_linkerd() -> None:
    with Server(uri_prefix="/service/marathon") as server:
        marathon = of(server, "/service/marathon")
        server.run("/Shop/web")
        server.run("/x")
        assert apps(marathon) == ["/shop/web", "/x"]
        with pytest.raises(ApiFailure, match="404"):
            members(marathon, Path.of("a b", "c/d"))
    assert server.targets() == [
        "/service/marathon/v2/apps",
        "/service/marathon/v2/apps/a%20b/c%2Fd?embed=app.tasks",
    ]
    assert server.asked[0].get("Host") == "marathon.mesos"


def test_a_task_is_reached_at_its_first_port(server: Server) -> None:
    server.run("/shop/web", ("10.0.0.1", 31001), {"host": "agent.test", "ports": [31002, 31003]})
    assert hosts(members(of(server))) == [("10.0.0.1", 31001), ("agent.test", 31002)]


@pytest.mark.parametrize(
    "task",
    [
        {"host": None},
        {"host": ""},
        {"host": 7},
        {"ports": []},
        {"ports": None},
        {"ports": ["80"]},
        {"ports": [0]},
        {"ports": [65536]},
        {"ports": {"0": 1}},
    ],
)
def test_a_task_that_cannot_be_reached_is_left_out(server: Server, task: dict[str, Any]) -> None:
    server.run("/shop/web", task, ("10.0.0.1", 31001))
    assert hosts(members(of(server))) == [("10.0.0.1", 31001)]


@pytest.mark.parametrize(
    ("ip_address", "expected"),
    [
        ({"discovery": {"ports": [{"number": 8080, "name": "http"}]}}, [("10.1.0.1", 8080)]),
        ({"discovery": {"ports": []}}, [("10.0.0.1", 31001), ("10.0.0.2", 31002)]),
        ({"groups": []}, [("10.0.0.1", 31001), ("10.0.0.2", 31002)]),
        (None, [("10.0.0.1", 31001), ("10.0.0.2", 31002)]),
    ],
)
def test_a_task_may_have_an_address_of_its_own(
    server: Server, ip_address: object, expected: list[tuple[str, int]]
) -> None:
    own = [{"ipAddress": "10.1.0.1", "protocol": "IPv4"}, {"ipAddress": "10.2.0.1"}]
    first = {"host": "10.0.0.1", "ports": [31001], "ipAddresses": own}
    server.run("/shop/web", first, ("10.0.0.2", 31002), ipAddress=ip_address)
    assert hosts(members(of(server))) == expected


def alive(*results: bool) -> dict[str, Any]:
    return {"healthCheckResults": [{"alive": result, "taskId": "t"} for result in results]}


@pytest.mark.parametrize(
    ("checks", "task", "counts"),
    [
        (0, {}, True),
        (0, {"state": "TASK_STAGING"}, False),
        (0, {"state": None}, False),
        (1, {}, False),
        (1, alive(True), True),
        (1, alive(False), False),
        (2, alive(True), False),
        (2, alive(True, False), False),
        (2, alive(True, True), True),
        (1, {"state": "TASK_KILLING", **alive(True)}, False),
        (1, {"healthCheckResults": [None, "x", {"alive": "true"}]}, False),
    ],
)
def test_only_healthy_tasks_count_if_wanted(
    server: Server, checks: int, task: dict[str, Any], counts: bool
) -> None:
    server.run("/shop/web", task, healthChecks=[{"path": "/"}] * checks)
    assert bool(members(of(server, checks_health=True))) is counts
    assert members(of(server))


@pytest.mark.parametrize("sent", [[], {}, {"apps": None}, {"apps": {}}, {"app": {}}, "x"])
def test_what_is_no_list_is_malformed(sent: object) -> None:
    class Saying(HttpApi):
        def answer(self, _: Asked) -> Said:
            return Said(body=json.dumps(sent).encode())

    with Saying() as server:
        with pytest.raises(Malformed):
            apps(of(server))
        with pytest.raises(Malformed):
            members(of(server))


def test_apps_without_an_id_are_left_out() -> None:
    class Saying(HttpApi):
        def answer(self, _: Asked) -> Said:
            return Said(body=b'{"apps": [{"id": "/a"}, {}, 1, null, {"id": 2}]}')

    with Saying() as server:
        assert apps(of(server)) == ["/a"]
