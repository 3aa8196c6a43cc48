"""Names bound by namerd, over its HTTP interface on a real socket."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

import pytest

from meshproxy.config.decode import Port
from meshproxy.discovery.namerd import Namerd as NamerdApi
from meshproxy.discovery.watching.api import Api, Bounds
from meshproxy.interpreters.namerd import NamerdHttpConfig, NamerdInterpreter, NamerdRetryConfig
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import (
    ADDR_NEG,
    ADDR_PENDING,
    Addr,
    AddrBound,
    Address,
    AddrFailed,
)
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Transformer
from meshproxy.naming.nametree import NEG, Leaf, Union
from meshproxy.naming.path import Path
from meshproxy.transformers.port import PortConfig
from meshproxy.var import PENDING, Ok, State, Var
from tests.kit.deps import interpreter_deps, namer_deps
from tests.kit.following import bound
from tests.kit.http_api import Fault
from tests.kit.k8s import wait_until
from tests.kit.namerd import Namerd, leaf, union

FAULTS: list[Fault] = [401, 403, 404, 500, "reset", "garbage", "other json", "empty", "cut", "huge"]


@pytest.fixture
def server() -> Iterator[Namerd]:
    with Namerd() as server:
        yield server


def build(
    server: Namerd, metrics: Tree | None = None, transformers: tuple[Transformer, ...] = ()
) -> NamerdInterpreter:
    """Build one that is not patient."""
    api = Api(Var(at(server.port)), "namerd:4180", bounds=Bounds(pace_s=0.0))
    namerd = NamerdApi(api, "default")
    return NamerdInterpreter(namerd, transformers, lambda: repeat(0.01), metrics or Tree())


def at(port: int) -> AddrBound:
    return AddrBound(frozenset({Address("127.0.0.1", port)}))


class Binding:
    """Follows a name and the addresses of each bound id in its tree."""

    def __init__(self, interpreter: NamerdInterpreter, dtab: str, path: str) -> None:
        self.state: State[Any] = PENDING
        self.bounds: dict[str, Bound] = {}
        self.addrs: dict[str, Addr] = {}
        self._closes: list[Callable[[], None]] = []
        self._closes.append(
            interpreter.bind(Dtab.parse(dtab), Path.parse(path)).observe(self._take)
        )

    def _take(self, state: State[Any]) -> None:
        self.state = state
        if isinstance(state, Ok):
            state.value.map(self._follow)

    def _follow(self, found: Bound) -> None:
        id_ = found.id.show()
        if id_ not in self.bounds:
            self.bounds[id_] = found

            def take(addr: Addr) -> None:
                self.addrs[id_] = addr

            self._closes.append(found.addr.observe(take))

    def wait_hosts(self, bound_id: str, *hosts: str) -> None:
        wait_until(lambda: self.addrs.get(bound_id) == bound(*hosts))

    def close(self) -> None:
        for close in self._closes:
            close()


@contextmanager
def binding(
    interpreter: NamerdInterpreter, dtab: str = "", path: str = "/svc/web"
) -> Iterator[Binding]:
    found = Binding(interpreter, dtab, path)
    try:
        yield found
    finally:
        found.close()


def test_names_and_addresses_are_followed(server: Namerd) -> None:
    interpreter = build(server)
    with binding(interpreter, "/svc => /#/x ; /host => /svc") as found:
        wait_until(lambda: found.state == Ok(NEG))
        server.put("/#/x/web", ("10.0.0.1", 80))
        server.bind("/svc/web", leaf("/#/x/web", "/rest"))
        found.wait_hosts("/#/x/web", "10.0.0.1")
        assert found.bounds["/#/x/web"].residual == Path.of("rest")
        server.put("/#/x/web", ("10.0.0.2", 80))
        found.wait_hosts("/#/x/web", "10.0.0.2")
        server.bind("/svc/web", union((1, leaf("/#/x/web")), (3, leaf("/%/t/#/y"))))
        server.put("/%/t/#/y", ("10.0.0.3", 80))
        found.wait_hosts("/%/t/#/y", "10.0.0.3")
        assert isinstance(found.state, Ok)
        assert isinstance(found.state.value, Union)
        told = interpreter.describe()
        names = [name for kind in ("bind", "addr") for name in told[kind]]
        assert [one.name for one in interpreter.followed()] == names
        (name,) = told["bind"]
        assert name == "/svc/web /svc=>/#/x;/host=>/svc"
        assert told["addr"].keys() == {"/#/x/web", "/%/t/#/y"}
        server.bind("/svc/web", {"type": "neg"})
        wait_until(lambda: found.state == Ok(NEG))
    wait_until(lambda: not server.watches)
    assert server.targets()[0] == (
        "/api/1/bind/default?path=%2Fsvc%2Fweb&watch=1&dtab=%2Fsvc%3D%3E%2F%23%2Fx%3B%2Fhost%3D%3E%2Fsvc"
    )
    assert server.asked[0].get("Host") == "namerd:4180"


def test_a_bound_name_that_stays_is_the_same(server: Namerd) -> None:
    server.bind("/svc/web", leaf("/#/web"))
    with binding(build(server)) as found:
        wait_until(lambda: isinstance(found.state, Ok))
        assert isinstance(found.state, Ok)
        before = found.state.value.value
        server.bind("/svc/web", union((1, leaf("/#/web")), (1, leaf("/#/other"))))
        wait_until(lambda: isinstance(found.state.value, Union))
        now: list[Bound] = []
        found.state.value.map(now.append)
        assert any(each is before for each in now)


def test_the_same_question_and_the_same_id_are_asked_once(server: Namerd) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.bind("/svc/web/a", leaf("/#/x", "/a"))
    server.put("/#/x", ("10.0.0.1", 80))
    interpreter = build(server)
    with (
        binding(interpreter) as one,
        binding(interpreter) as two,
        binding(interpreter, path="/svc/web/a") as three,
    ):
        for found in (one, two, three):
            found.wait_hosts("/#/x", "10.0.0.1")
        assert server.watches == 3


def test_transformers_change_what_is_bound(server: Namerd) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.put("/#/x", ("10.0.0.1", 80))
    transformer = PortConfig(port=Port(4141)).build(namer_deps(Path.parse("/%/port")))
    with binding(build(server, transformers=(transformer,))) as found:
        expected = bound("10.0.0.1", port=4141)
        wait_until(lambda: found.addrs.get("/%/port/#/x") == expected)


@pytest.mark.parametrize("ending", [b"", b"Unknown host: x\n"])
def test_a_stream_that_ends_is_opened_again(server: Namerd, ending: bytes) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.put("/#/x", ("10.0.0.1", 80))
    with binding(build(server)) as found:
        found.wait_hosts("/#/x", "10.0.0.1")
        server.end_streams(ending)
        server.put("/#/x", ("10.0.0.2", 80))
        found.wait_hosts("/#/x", "10.0.0.2")


@pytest.mark.parametrize("fault", FAULTS)
def test_before_the_first_answer_names_are_pending(server: Namerd, fault: Fault) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.put("/#/x", ("10.0.0.1", 80))
    server.faults["/"] = fault
    metrics = Tree()
    with binding(build(server, metrics)) as found:
        wait_until(lambda: metrics.counter("bind", "errors").value >= 2)
        assert found.state == PENDING
        server.faults.clear()
        server.faults["addr"] = fault
        wait_until(lambda: metrics.counter("addr", "errors").value >= 2)
        assert found.addrs == {"/#/x": ADDR_PENDING}
        server.faults.clear()
        found.wait_hosts("/#/x", "10.0.0.1")


@pytest.mark.parametrize("fault", FAULTS)
def test_after_an_answer_it_stays_while_namerd_fails(server: Namerd, fault: Fault) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.put("/#/x", ("10.0.0.1", 80))
    metrics = Tree()
    with binding(build(server, metrics)) as found:
        found.wait_hosts("/#/x", "10.0.0.1")
        server.faults["/"] = fault
        server.cut()
        for what in ("bind", "addr"):
            errors = metrics.counter(what, "errors")
            wait_until(lambda errors=errors: errors.value >= 2)
        assert found.addrs == {"/#/x": bound("10.0.0.1")}
        server.put("/#/x", ("10.0.0.2", 80))
        server.faults.clear()
        found.wait_hosts("/#/x", "10.0.0.2")


@pytest.mark.parametrize(
    ("addr", "expected"),
    [
        ({"type": "neg"}, ADDR_NEG),
        ({"type": "pending"}, ADDR_PENDING),
        ({"type": "failed", "cause": "x"}, AddrFailed('namerd: "x"')),
    ],
)
def test_what_is_not_bound_is_told(server: Namerd, addr: dict[str, str], expected: Addr) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.addrs["/#/x"] = addr
    with binding(build(server)) as found:
        wait_until(lambda: found.addrs.get("/#/x") == expected)


@pytest.mark.parametrize(
    ("dst", "host"),
    [("/$/inet/namerd.test/{port}", "namerd.test:{port}"), ("/$/somewhere", "namerd")],
)
def test_it_is_built_by_the_configuration(server: Namerd, dst: str, host: str) -> None:
    config = NamerdHttpConfig(
        experimental=True, dst=Path.parse(dst.format(port=server.port)), namespace="mine"
    )
    there = Var(Ok(Leaf(Bound(Path.of("namerd"), Var(at(server.port))))))
    with binding(config.build(interpreter_deps(bind=lambda _: there))) as found:
        wait_until(lambda: found.state == Ok(NEG))
    assert server.targets()[0].startswith("/api/1/bind/mine?")
    assert server.asked[0].get("Host") == host.format(port=server.port)


def test_the_first_wait_is_no_longer_than_the_longest() -> None:
    (problem,) = NamerdRetryConfig(base_seconds=9, max_seconds=8).check()
    assert problem.key == "baseSeconds"
    assert list(NamerdRetryConfig(base_seconds=8, max_seconds=8).check()) == []
