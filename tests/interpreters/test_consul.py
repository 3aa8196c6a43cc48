"""A dtab in Consul, over an agent on a real socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from meshproxy.config.backoff import ConstantConfig
from meshproxy.config.decode import Port, Severity
from meshproxy.errors import BindingFailed
from meshproxy.interpreters.consul import ConsulInterpreterConfig
from meshproxy.interpreters.stored import WatchedDtabInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State
from tests.kit.consul import ConsulAgent
from tests.kit.deps import interpreter_deps
from tests.kit.http_api import Fault
from tests.kit.k8s import wait_until

KEY = "namerd/dtabs/default"
FAULTS: list[Fault] = [401, 403, 500, "reset", "not http", "cut", "huge"]


@pytest.fixture
def agent() -> Iterator[ConsulAgent]:
    with ConsulAgent() as agent:
        yield agent


def build(agent: ConsulAgent, metrics: Tree | None = None, **keys: Any) -> WatchedDtabInterpreter:
    config = ConsulInterpreterConfig(host="127.0.0.1", port=Port(agent.port), **keys)
    return config.build(interpreter_deps(metrics=metrics or Tree()))


class Binding:
    """Follows the binding of /svc/web."""

    def __init__(self, interpreter: WatchedDtabInterpreter) -> None:
        self.state: State[Any] = PENDING
        found = interpreter.bind(Dtab.parse("/svc => /host"), Path.parse("/svc/web"))
        self.close = found.observe(self._take)

    def _take(self, state: State[Any]) -> None:
        self.state = state

    def wait_id(self, bound_id: str) -> None:
        def is_bound() -> bool:
            state = self.state
            found = isinstance(state, Ok) and isinstance(state.value, Leaf)
            return found and state.value.value.show() == bound_id

        wait_until(is_bound)


@contextmanager
def binding(interpreter: WatchedDtabInterpreter) -> Iterator[Binding]:
    found = Binding(interpreter)
    try:
        yield found
    finally:
        found.close()


def test_the_dtab_is_followed_while_it_is_there_and_while_it_is_not(agent: ConsulAgent) -> None:
    interpreter = build(agent)
    with binding(interpreter) as found:
        wait_until(lambda: found.state == Ok(NEG))
        agent.put(KEY, b"/host/web => /$/inet/127.0.0.1/1")
        found.wait_id("/$/inet/127.0.0.1/1")
        agent.put(KEY, b"/host/web => /$/inet/127.0.0.1/2")
        found.wait_id("/$/inet/127.0.0.1/2")
        told = interpreter.describe()["default"]
        assert [one.name for one in interpreter.followed()] == ["default"]
        assert told["state"]["value"] == "/host/web=>/$/inet/127.0.0.1/2"
        assert told["poll"]["request"].startswith("GET /v1/kv/namerd/dtabs/default?raw=true")
        agent.delete(KEY)
        wait_until(lambda: found.state == Ok(NEG))
    assert interpreter.describe() == {}
    assert list(interpreter.followed()) == []
    wait_until(lambda: not agent.connections)


def test_the_question_is_that_of_linkerd(agent: ConsulAgent) -> None:
    agent.token = "secret"
    keys = {"path_prefix": Path.parse("/a/b"), "namespace": "n", "token": "secret"}
    mode = {"read_consistency_mode": "stale", "datacenter": "dc1"}
    with binding(build(agent, **keys, **mode)) as found:
        wait_until(lambda: found.state == Ok(NEG))
    assert agent.targets()[0] == "/v1/kv/a/b/n?stale=true&raw=true&dc=dc1"


def test_a_bad_text_leaves_the_dtab_and_fails_names_if_there_was_none(agent: ConsulAgent) -> None:
    agent.put(KEY, b"=>")
    metrics = Tree()
    with binding(build(agent, metrics)) as found:
        wait_until(lambda: isinstance(found.state, Failed))
        assert isinstance(found.state, Failed)
        assert isinstance(found.state.error, BindingFailed)
        assert "the dtab at namerd/dtabs/default in Consul" in str(found.state.error)
        agent.put(KEY, b"/host/web => /$/inet/127.0.0.1/1")
        found.wait_id("/$/inet/127.0.0.1/1")
        agent.put(KEY, b"=>")
        wait_until(lambda: metrics.counter("unreadable").value == 2)
        found.wait_id("/$/inet/127.0.0.1/1")
        agent.put(KEY, b"/host/web => /$/inet/127.0.0.1/2")
        found.wait_id("/$/inet/127.0.0.1/2")
        assert metrics.counter("errors").value == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_before_the_first_answer_names_are_pending(agent: ConsulAgent, fault: Fault) -> None:
    agent.put(KEY, b"/host/web => /$/inet/127.0.0.1/1")
    agent.faults["kv"] = fault
    metrics = Tree()
    with binding(build(agent, metrics, backoff=ConstantConfig(ms=1))) as found:
        wait_until(lambda: metrics.counter("errors").value >= 2)
        assert found.state == PENDING
        agent.faults.clear()
        found.wait_id("/$/inet/127.0.0.1/1")


@pytest.mark.parametrize("fault", FAULTS)
def test_after_an_answer_the_dtab_stays_while_the_agent_fails(
    agent: ConsulAgent, fault: Fault
) -> None:
    agent.put(KEY, b"/host/web => /$/inet/127.0.0.1/1")
    metrics = Tree()
    with binding(build(agent, metrics)) as found:
        found.wait_id("/$/inet/127.0.0.1/1")
        agent.faults["kv"] = fault
        agent.cut()
        wait_until(lambda: metrics.counter("errors").value >= 2)
        found.wait_id("/$/inet/127.0.0.1/1")
        agent.put(KEY, b"/host/web => /$/inet/127.0.0.1/2")
        agent.faults.clear()
        found.wait_id("/$/inet/127.0.0.1/2")


@pytest.mark.parametrize(
    ("keys", "key", "severity"),
    [
        ({"namespace": "a/b"}, "namespace", Severity.ERROR),
        ({"namespace": ""}, "namespace", Severity.ERROR),
        ({"token": "a\nb"}, "token", Severity.ERROR),
        ({"write_consistency_mode": "stale"}, "writeConsistencyMode", Severity.WARNING),
    ],
)
def test_what_cannot_be_or_has_no_effect_is_noted(
    keys: dict[str, Any], key: str, severity: Severity
) -> None:
    (problem,) = ConsulInterpreterConfig(**keys).check()
    assert (problem.key, problem.severity) == (key, severity)
