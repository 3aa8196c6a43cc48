"""A dtab in a ConfigMap, over an API on a real socket."""

from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.config.decode import Port
from meshproxy.interpreters.k8s import ConfigMapInterpreterConfig
from meshproxy.interpreters.stored import WatchedDtabInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.naming.nametree import NEG
from meshproxy.var import PENDING, Ok
from tests.kit.deps import interpreter_deps
from tests.kit.k8s import KubeApi, config_map, wait_until

from .test_consul import binding

ONE, TWO = "/host/web => /$/inet/127.0.0.1/1", "/host/web => /$/inet/127.0.0.1/2"


@pytest.fixture
def kube() -> Iterator[KubeApi]:
    with KubeApi() as kube:
        yield kube


def config(**keys: Any) -> ConfigMapInterpreterConfig:
    keys = {"experimental": True, "name": "dtabs", "filename": "web"} | keys
    return ConfigMapInterpreterConfig(**keys)


def build(kube: KubeApi, metrics: Tree | None = None) -> WatchedDtabInterpreter:
    found = config(host="127.0.0.1", port=Port(kube.port))
    return found.build(interpreter_deps(metrics=metrics or Tree()))


def test_the_dtab_is_followed_while_it_is_there_and_while_it_is_not(kube: KubeApi) -> None:
    interpreter = build(kube)
    with binding(interpreter) as found:
        wait_until(lambda: found.state == Ok(NEG))
        kube.apply(config_map("dtabs", web=ONE))
        found.wait_id("/$/inet/127.0.0.1/1")
        kube.apply(config_map("dtabs", web=TWO))
        found.wait_id("/$/inet/127.0.0.1/2")
        told = interpreter.describe()["default/dtabs/web"]
        assert told["state"]["value"] == "/host/web=>/$/inet/127.0.0.1/2"
        assert "watch=1" in told["watch"]["request"]
        kube.delete("configmaps", "dtabs")
        wait_until(lambda: found.state == Ok(NEG))
    assert interpreter.describe() == {}
    wait_until(lambda: not kube.watchers)


def test_a_bad_text_leaves_the_dtab_and_is_empty_at_the_start(kube: KubeApi) -> None:
    kube.apply(config_map("dtabs", web="=>"))
    metrics = Tree()
    with binding(build(kube, metrics)) as found:
        wait_until(lambda: found.state == Ok(NEG))
        kube.apply(config_map("dtabs", web=ONE))
        found.wait_id("/$/inet/127.0.0.1/1")
        kube.apply(config_map("dtabs", web="=>"))
        wait_until(lambda: metrics.counter("unreadable").value == 2)
        found.wait_id("/$/inet/127.0.0.1/1")


@pytest.mark.parametrize("status", [401, 403, 500])
def test_before_the_first_answer_names_are_pending(kube: KubeApi, status: int) -> None:
    kube.apply(config_map("dtabs", web=ONE))
    kube.refusals["/"] = status
    metrics = Tree()
    with binding(build(kube, metrics)) as found:
        wait_until(lambda: metrics.counter("errors").value >= 2)
        assert found.state == PENDING
        kube.refusals.clear()
        found.wait_id("/$/inet/127.0.0.1/1")


@pytest.mark.parametrize("outage", ["closed", "refused", "expired", "nonsense", "ended"])
def test_after_an_answer_the_dtab_stays_while_the_api_fails(kube: KubeApi, outage: str) -> None:
    kube.apply(config_map("dtabs", web=ONE))
    metrics = Tree()
    with binding(build(kube, metrics)) as found:
        found.wait_id("/$/inet/127.0.0.1/1")
        wait_until(lambda: kube.watchers)
        match outage:
            case "closed":
                kube.close()
            case "refused":
                kube.refusals["/"] = 500
                kube.break_watches()
            case "expired":
                kube.expire_watches()
            case "nonsense":
                kube.send(b"nonsense\n")
            case "ended":
                kube.end_watches()
        if outage != "ended":
            wait_until(lambda: metrics.counter("errors").value >= 1)
        found.wait_id("/$/inet/127.0.0.1/1")
        kube.apply(config_map("dtabs", web=TWO))
        kube.refusals.clear()
        if outage == "closed":
            kube.listen()
        found.wait_id("/$/inet/127.0.0.1/2")


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"namespace": "a/b"}, "namespace"),
        ({"name": "A"}, "name"),
        ({"name": "a..b"}, "name"),
        ({"filename": "a/b"}, "filename"),
        ({"auth": "inCluster", "host": "api.test"}, "auth"),
        ({"context": "lab"}, "context"),
    ],
)
def test_what_kubernetes_cannot_have_is_refused(keys: dict[str, Any], key: str) -> None:
    (problem,) = config(**keys).check()
    assert problem.key == key


def test_names_that_kubernetes_can_have_are_taken() -> None:
    assert list(config(name="my.dtabs", filename="web_1.dtab").check()) == []
