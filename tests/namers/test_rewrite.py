"""`io.l5d.rewrite`: a pattern, and the name it stands for."""

from functools import partial

import pytest

from meshproxy.config.errors import Severity
from meshproxy.config.kinds import find
from meshproxy.errors import BindingFailed
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.namers.rewrite import RewriteNamer, RewriteNamerConfig
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_PENDING, Addr
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Var
from tests.kit.deps import namer_deps


class Unreachable:
    """Resolves nothing."""

    def resolve(self, host: str, port: str) -> Var[Addr]:
        raise AssertionError(host, port)


def lookup(pattern: str, name: str, path: str) -> Lookup:
    namer = RewriteNamer(Path.of("#", "r"), PathMatcher.parse(pattern), name)
    return namer.lookup(Path.parse(path))


@pytest.mark.parametrize(
    ("pattern", "name", "path", "result"),
    [
        pytest.param(
            "/{p}/{n}/{s}", "/k/{n}/{p}/{s}", "/http/ns/web", "/k/ns/http/web", id="order"
        ),
        pytest.param("/one/two", "/success", "/one/two/three", "/success", id="rest-is-dropped"),
        pytest.param("/{a}.com", "/{a}", "/shop.com", "/shop", id="part"),
        pytest.param("/{a}", "/x/{a}", r"/a\x20b", r"/x/\x61\x20\x62", id="escaped"),
    ],
)
def test_a_matching_name_becomes_the_other(pattern: str, name: str, path: str, result: str) -> None:
    assert lookup(pattern, name, path) == Leaf(Path.parse(result))


def test_a_name_that_does_not_match_is_negative() -> None:
    assert lookup("/one/*", "/x", "/two/a") is NEG


@pytest.mark.parametrize("name", ["/x/{unknown}", "x", "/x{a}/"])
def test_a_result_that_is_no_path_is_a_failure(name: str) -> None:
    answer = lookup("/{a}", name, "/1")
    assert isinstance(answer, Var)
    state = answer.sample()
    assert isinstance(state, Failed)
    assert isinstance(state.error, BindingFailed)
    assert "expected but" in str(state.error)


def test_the_kind_builds_the_namer() -> None:
    assert find("namers", "io.l5d.rewrite") is RewriteNamerConfig
    pattern = PathMatcher.parse("/{a}")
    config = RewriteNamerConfig(prefix=Path.of("r"), pattern=pattern, name="/x/{a}")
    system = SystemNamers(lambda _host, _port: Var(ADDR_PENDING))
    namer = config.build(
        namer_deps(
            config.full_prefix(),
            resolver=Unreachable(),
            bind=partial(DefaultInterpreter([], system).bind, Dtab()),
        )
    )
    assert namer == RewriteNamer(Path.of("#", "r"), pattern, "/x/{a}")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("/x/{a}", None),
        ("/x/y-{a}.{a}", None),
        ("/x/{b}", "{b} is not captured by pattern, so every name fails here"),
        ("x/{a}", "never is a name, so every name fails here: '/' expected but 'x' found"),
        ("/x/{a}/", "never is a name, so every name fails here: label char expected"),
    ],
)
def test_a_name_that_can_never_be_one_is_warned_of(name: str, what: str | None) -> None:
    pattern = PathMatcher.parse("/{a}")
    config = RewriteNamerConfig(prefix=Path.of("r"), pattern=pattern, name=name)
    found = [(problem.key, problem.severity) for problem in config.check()]
    assert found == ([] if what is None else [("name", Severity.WARNING)])
    assert all(str(what) in problem.what for problem in config.check())
