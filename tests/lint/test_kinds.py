"""What is known of kinds is what they do."""

import pytest

from meshproxy.config import kinds
from meshproxy.lint.kinds import (
    SYSTEM_NAMERS,
    answered,
    answered_by_system,
    bound_by_system,
    is_never_negative,
)
from meshproxy.namers.rewrite import RewriteNamerConfig
from meshproxy.namers.rewriting import REWRITERS
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_PENDING
from meshproxy.naming.bound import Bound
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.nameset import NameSet
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Ok, Var

SYSTEM = SystemNamers(lambda _host, _port: Var(ADDR_PENDING))
NAMES = [
    Path.parse(text)
    for text in (
        "/", "/80", "/a", "/80/a", "/a/80", "/a.b/x.a.b", "/80/a/x", "/p/a:80", "/p/a:80/x",
        "/GET", "/p/GET/x", "/p/x.a.b/y", "/a.b/p/x.a.b/y", "/a b/c", "/p/q/r/s",
    )
    if " " not in text
]  # fmt: skip


def answer(name: Path) -> NameTree[Path | Bound] | None:
    """Return what the system namer says to *name*, None where it fails."""
    found = SYSTEM.lookup(name.drop(1))
    if not isinstance(found, Var):
        return found
    state = found.sample()
    return state.value if isinstance(state, Ok) else None


@pytest.mark.parametrize("namer", sorted([*SYSTEM_NAMERS, b"nonsense"]))
def test_system_namers_answer_as_is_foretold(namer: bytes) -> None:
    for rest in NAMES:
        name = Path.of("$", namer) + rest
        names = NameSet(name, is_open=False)
        found = answer(name)
        assert found is not NEG or not is_never_negative(names)
        if not isinstance(found, Leaf):
            continue
        if isinstance(found.value, Bound):
            assert any(known.includes(NameSet(found.value.id)) for known in bound_by_system())
            assert is_never_negative(names) or namer == b"io.buoyant.namer.zk.leader"
        else:
            result = NameSet(found.value, is_open=False)
            assert any(known.includes(result) for known in answered_by_system(names))


def test_the_names_of_system_namers_are_all_of_them() -> None:
    def is_known(name: bytes) -> bool:
        found = SYSTEM.lookup(Path.of(name, "p", "80"))
        return not isinstance(found, Var) or "Unknown namer" not in str(found.sample())

    assert all(map(is_known, SYSTEM_NAMERS))
    assert not is_known(b"nonsense")
    assert {b"inet", b"nil", *REWRITERS} < SYSTEM_NAMERS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/srv/{a}", "/srv/*"),
        ("/srv/x-{a}/b", "/srv/*/b"),
        ("/srv", "/srv"),
        (r"/a\x20b", r"/\x61\x20\x62"),
        ("srv/x", "/srv/x"),
        ("/a//b", "/..."),
    ],
)
def test_a_rewriting_namer_answers_with_its_template(name: str, expected: str) -> None:
    config = RewriteNamerConfig(prefix=Path.of("x"), pattern=PathMatcher.parse("/{a}"), name=name)
    assert [names.show() for names in answered(config)] == [expected]


@pytest.mark.parametrize("kind", kinds.built("namers"))
def test_no_other_namer_of_ours_answers_with_names(kind: str) -> None:
    if kind != "io.l5d.rewrite":
        cls = kinds.find("namers", kind)
        assert answered(cls.__new__(cls)) == ()  # type: ignore[arg-type]
