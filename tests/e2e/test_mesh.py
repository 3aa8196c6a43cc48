"""A router whose names namerd binds over gRPC: requests, state, delegations, and a reload."""

import json
from collections.abc import Iterator

import pytest

from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.mesh import Mesh
from tests.kit.mesh_messages import bound, leaf, path
from tests.kit.proxy import Proxy
from tests.kit.wire import get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /local => /host
  interpreter:
    kind: io.l5d.mesh
    dst: /$/inet/127.0.0.1/{port}
    retry: {{baseSeconds: 1, maxSeconds: 1}}
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""
SCOPE = "rt/http/interpreter/io.l5d.mesh"


@pytest.fixture
def namerd() -> Iterator[Mesh]:
    with Mesh() as namerd:
        yield namerd


def test_requests_go_where_namerd_says_and_a_reload_asks_nothing_anew(namerd: Mesh) -> None:
    config = CONFIG.format(port=namerd.port)
    with (
        Downstream(lambda _: b"one") as one,
        Downstream(lambda _: b"two") as two,
        Proxy(config) as proxy,
    ):
        namerd.bind("/svc/web", leaf("/#/web"))
        namerd.put("/#/web", bound((one.host, one.port)))
        assert get(proxy.port(), "web").body == b"one"
        namerd.put("/#/web", bound((two.host, two.port)))
        wait_until(lambda: get(proxy.port(), "web").body == b"two")
        asked = len(namerd.asked)
        proxy.reload(config.replace("  servers:", "  client: {failFast: true}\n  servers:"))
        assert get(proxy.port(), "web").body == b"two"
        assert len(namerd.asked) == asked
        assert proxy.counts(f"{SCOPE}/connection", "connects", "connections") == [1, 1]
        assert proxy.counts(SCOPE, "bind/opens", "addr/opens") == [1, 1]
        page = get(proxy.linker.admin_port, "localhost", "/http/interpreter_state/io.l5d.mesh.json")
        state = json.loads(page.body)
        assert state["bind"]["/svc/web"]["/local=>/host"]["state"]["value"] == "/#/web"
        assert state["resolve"]["/#/web"]["watch"]["error"] is None


def test_a_delegation_is_the_one_of_namerd(namerd: Mesh) -> None:
    end = {"path": path("/#/web"), **leaf("/#/web")}
    namerd.delegate("/svc/web", {"path": path("/svc/web"), "delegate": end})
    namerd.put("/#/web", bound(("10.0.0.1", 80)))
    with Proxy(CONFIG.format(port=namerd.port)) as proxy:
        question = "/delegator.json?namespace=http&path=/svc/web"
        tree = json.loads(get(proxy.linker.admin_port, "localhost", question).body)
        assert (tree["type"], tree["delegate"]["type"]) == ("delegate", "leaf")
        found = tree["delegate"]["bound"]
        assert (found["id"], found["addr"]["addrs"][0]["ip"]) == ("/#/web", "10.0.0.1")
