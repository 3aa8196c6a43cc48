"""Names bound by namerd over gRPC: a real grpcio server, and our own HTTP/2."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import repeat
from pathlib import Path as File
from typing import Any

import pytest

from meshproxy.config.tls import ClientTlsConfig
from meshproxy.discovery.grpc.channel import GrpcChannel
from meshproxy.discovery.mesh.questions import Mesh as MeshQuestions
from meshproxy.discovery.watching.api import MAX_HELD, Bounds
from meshproxy.h2.settings import KeepAlive, LocalSettings
from meshproxy.interpreters.mesh import FailureThresholdConfig, MeshConfig, MeshInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, AddrBound, Address, AddrFailed
from meshproxy.naming.delegation import Delegation
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NEG, Leaf, Union
from meshproxy.naming.path import Path
from meshproxy.runtime.origins import http2_to
from meshproxy.var import PENDING, Failed, Ok, Var
from tests.kit.certs import Certs
from tests.kit.deps import interpreter_deps
from tests.kit.following import bound as bound_to
from tests.kit.k8s import wait_until
from tests.kit.mesh import Mesh
from tests.kit.mesh_messages import alt, bound, leaf, path, union

from .test_namerd import Binding


@pytest.fixture(scope="module")
def process() -> Iterator[Mesh]:
    with Mesh() as process:
        yield process


@pytest.fixture
def server(process: Mesh) -> Iterator[Mesh]:
    process.fail(None)
    yield process
    process.forget()


def at(*ports: int) -> AddrBound:
    return AddrBound(frozenset(Address("127.0.0.1", port) for port in ports))


def build(server: Mesh, metrics: Tree | None = None, where: Any = None) -> MeshInterpreter:
    """Build one that is not patient."""
    dial = http2_to(Tree(), None, LocalSettings(), KeepAlive())
    channel = GrpcChannel(where or Var(at(server.port)), "namerd:4321", dial, Bounds(pace_s=0.0))
    questions = MeshQuestions(channel, Path.of("default"))
    return MeshInterpreter(questions, (), lambda: repeat(0.01), metrics or Tree())


@contextmanager
def binding(
    interpreter: MeshInterpreter, dtab: str = "", name: str = "/svc/web"
) -> Iterator[Binding]:
    with closing(Binding(interpreter, dtab, name)) as found:
        yield found


def test_names_and_addresses_are_followed(server: Mesh) -> None:
    interpreter = build(server)
    with binding(interpreter, "/svc => /#/x ; /host => /svc") as found:
        wait_until(lambda: found.state == Ok(NEG))
        server.put("/#/x/web", bound(("10.0.0.1", 80)))
        server.bind("/svc/web", leaf("/#/x/web", "/rest"))
        found.wait_hosts("/#/x/web", "10.0.0.1")
        assert found.bounds["/#/x/web"].residual == Path.of("rest")
        server.put("/#/x/web", bound(("10.0.0.2", 80)))
        found.wait_hosts("/#/x/web", "10.0.0.2")
        server.bind("/svc/web", alt({"neg": {}}, union((1, leaf("/#/x/web")), (3, leaf("/#/y")))))
        server.put("/#/y", bound(("fd00::1", 80)))
        found.wait_hosts("/#/y", "fd00::1")
        assert isinstance(found.state, Ok)
        assert isinstance(found.state.value, Union)
        told = interpreter.describe()
        (watch,) = told["bind"]["/svc/web"].values()
        assert told["bind"]["/svc/web"].keys() == {"/svc=>/#/x;/host=>/svc"}
        assert watch["state"]["value"] == "/#/x/web & 3.00*/#/y"
        assert watch["watch"]["request"] == "/io.linkerd.mesh.Interpreter/StreamBoundTree"
        assert told["resolve"].keys() == {"/#/x/web", "/#/y"}
        server.bind("/svc/web", {"neg": {}})
        wait_until(lambda: found.state == Ok(NEG))
    wait_until(lambda: not server.streams)
    method, asked = server.asked[0]
    assert method == "Interpreter/StreamBoundTree"
    assert (asked["root"], asked["name"]) == (path("/default"), path("/svc/web"))
    assert len(asked["dtab"]["dentries"]) == 2


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [
        ({"neg": {}}, ADDR_NEG),
        ({"pending": {}}, ADDR_PENDING),
        ({"failed": {"message": "no zone"}}, AddrFailed("namerd: no zone")),
    ],
)
def test_what_is_not_bound_is_told(server: Mesh, replicas: Any, expected: Any) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.put("/#/x", replicas)
    with binding(build(server)) as found:
        wait_until(lambda: found.addrs.get("/#/x") == expected)


@pytest.mark.parametrize("late", [False, True])
def test_before_the_first_response_names_are_pending_and_failures_are_counted(
    server: Mesh, late: bool
) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.put("/#/x", bound(("10.0.0.1", 80)))
    server.fail("UNAVAILABLE", late=late)
    metrics = Tree()
    with binding(build(server, metrics)) as found:
        wait_until(lambda: metrics.counter("bind", "errors").value >= 2)
        assert metrics.counter("bind", "errors", "status").value >= 2
        if not late:
            assert found.state == PENDING
        server.fail(None)
        found.wait_hosts("/#/x", "10.0.0.1")


def test_the_last_response_stays_while_namerd_fails_and_while_it_is_away() -> None:
    metrics = Tree()
    with Mesh() as server, binding(build(server, metrics)) as found:
        server.bind("/svc/web", leaf("/#/x"))
        server.put("/#/x", bound(("10.0.0.1", 80)))
        found.wait_hosts("/#/x", "10.0.0.1")
        server.fail("INTERNAL")
        server.end_streams()
        for what in ("bind", "addr"):
            errors = metrics.counter(what, "errors")
            wait_until(lambda errors=errors: errors.value >= 2)
        assert found.addrs == {"/#/x": bound_to("10.0.0.1")}
        server.stop()
        connect = metrics.counter("addr", "errors", "connect")
        wait_until(lambda: connect.value >= 2)
        assert found.addrs == {"/#/x": bound_to("10.0.0.1")}
        server.restart()
        server.put("/#/x", bound(("10.0.0.2", 80)))
        server.fail(None)
        found.wait_hosts("/#/x", "10.0.0.2")


def test_a_stream_that_ends_is_opened_again(server: Mesh) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.put("/#/x", bound(("10.0.0.1", 80)))
    with binding(build(server)) as found:
        found.wait_hosts("/#/x", "10.0.0.1")
        server.end_streams()
        server.put("/#/x", bound(("10.0.0.2", 80)))
        found.wait_hosts("/#/x", "10.0.0.2")


def test_a_namerd_that_moves_is_followed(server: Mesh) -> None:
    server.bind("/svc/web", leaf("/#/x"))
    server.put("/#/x", bound(("10.0.0.1", 80)))
    where = Var(at(server.port))
    with Mesh() as other, binding(build(server, where=where)) as found:
        other.bind("/svc/web", leaf("/#/x"))
        other.put("/#/x", bound(("10.0.0.9", 80)))
        found.wait_hosts("/#/x", "10.0.0.1")
        where.set(at(other.port))
        found.wait_hosts("/#/x", "10.0.0.9")
        wait_until(lambda: not server.streams)


def test_made_up_names_take_no_more_streams_than_there_are_places(server: Mesh) -> None:
    server.bind("/svc/last", leaf("/#/x"))
    interpreter = build(server)
    names = [f"/svc/n{number}" for number in range(MAX_HELD)]
    found = [Binding(interpreter, "", name) for name in names]
    wait_until(lambda: all(one.state == Ok(NEG) for one in found))
    assert server.streams == MAX_HELD
    with binding(interpreter, name="/svc/last") as last:
        wait_until(lambda: isinstance(last.state, Ok))
        assert "Interpreter/GetBoundTree" in {method for method, _ in server.asked}
    for one in found:
        one.close()
    wait_until(lambda: not server.streams)


def steps(interpreter: MeshInterpreter, name: str) -> Any:
    """Return what the first response to a delegation says."""
    said: list[Any] = []
    close = interpreter.delegate(Dtab.parse("/a => /b"), Path.parse(name)).observe(said.append)
    wait_until(lambda: said[-1] != PENDING)
    close()
    return said[-1]


def test_a_name_is_delegated_step_by_step(server: Mesh) -> None:
    rule = {"prefix": {"elems": [{"label": "c3Zj"}]}, "dst": {"leaf": {"id": path("/#/x")}}}
    end = {"path": path("/#/x/web"), "dentry": rule, **leaf("/#/x/web")}
    server.delegate("/svc/web", {"path": path("/svc/web"), "delegate": end})
    server.delegate("/svc/bad", {"path": path("/svc/bad"), "exception": "too deep"})
    interpreter = build(server)
    state = steps(interpreter, "/svc/web")
    assert isinstance(state, Ok)
    found: Delegation = state.value
    assert found.root.name == Path.parse("/svc/web")
    (following,) = found.root.steps
    assert following.entry is not None
    assert following.entry.show() == "/svc=>/#/x"
    assert isinstance(found.state, Ok)
    assert isinstance(found.state.value, Leaf)
    assert found.state.value.value.id == Path.parse("/#/x/web")
    assert steps(interpreter, "/svc/bad").value.state == Failed(Exception("namerd: too deep"))
    assert server.asked[-1][0] == "Delegator/GetDelegateTree"


def test_it_is_built_by_the_configuration_and_speaks_tls(tmp_path: File) -> None:
    certs = Certs(tmp_path)
    with Mesh(tls=certs.files("namerd.test")) as server:
        server.bind("/svc/web", leaf("/#/x"))
        server.put("/#/x", bound(("10.0.0.1", 80)))
        tls = ClientTlsConfig(common_name="namerd.test", trust_certs_bundle=str(certs.bundle))
        config = MeshConfig(
            dst=Path.parse(f"/$/inet/127.0.0.1/{server.port}"),
            tls=tls,
            failure_threshold=FailureThresholdConfig(min_period_ms=1000, close_timeout_ms=1000),
        )
        with binding(config.build(interpreter_deps())) as found:
            found.wait_hosts("/#/x", "10.0.0.1")


def test_an_unknown_root_is_an_error(server: Mesh) -> None:
    metrics = Tree()
    config = MeshConfig(dst=Path.parse(f"/$/inet/127.0.0.1/{server.port}"), root=Path.of("other"))
    with binding(config.build(interpreter_deps(metrics=metrics))) as found:
        wait_until(lambda: metrics.counter("bind", "errors", "status").value)
        assert found.state == PENDING


@pytest.mark.parametrize("root", ["/", "/a/b"])
def test_the_root_is_one_segment(root: str) -> None:
    dst = Path.parse("/$/inet/namerd/4321")
    (problem,) = MeshConfig(dst=dst, root=Path.parse(root)).check()
    assert problem.key == "root"
    assert list(MeshConfig(dst=dst, root=Path.parse("/a")).check()) == []
