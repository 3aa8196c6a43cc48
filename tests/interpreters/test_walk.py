"""Every step of a delegation: what led to it, what it stands for, and what it comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.interpreters.walk import MAX_NODES
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_PENDING
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Delegation, Step, route_to
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import BoundTree, Lookup, Namer, Transformed
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State, Var

SYSTEM = SystemNamers(lambda _host, _port: Var(ADDR_PENDING))
NAMES = Path.of("#", "names")


@dataclass(frozen=True)
class Names:
    """A namer that knows `a`, is still looking for `slow`, and cannot find `bad`."""

    prefix: Path

    def lookup(self, path: Path) -> Lookup:
        here = Leaf(Bound(self.prefix + Path.of("a"), Var(ADDR_PENDING)))
        states: dict[Path, State[NameTree[Path | Bound]]] = {
            Path.of("a"): Ok(here),
            Path.of("slow"): PENDING,
            Path.of("bad"): Failed(ValueError("bad")),
            Path.of("b", "a"): Ok(here),
            Path.of("alias"): Ok(Leaf(self.prefix + Path.of("a"))),
        }
        return Var(states[path]) if path in states else NEG


@dataclass(frozen=True)
class Marks:
    """A transformer that puts its prefix in front of every id."""

    prefix: Path

    def transform(self, tree: BoundTree) -> Transformed:
        return tree.map(lambda one: Bound(self.prefix + one.id, one.addr, one.residual))


def delegation(
    dtab: str,
    path: str,
    namers: Sequence[Namer] = (Names(NAMES),),
    marks: Sequence[str] = (),
) -> Delegation:
    transformers = [Marks(Path.parse(mark)) for mark in marks]
    interpreter = DefaultInterpreter(namers, SYSTEM, transformers)
    state = interpreter.delegate(Dtab.parse(dtab), Path.parse(path)).sample()
    assert isinstance(state, Ok)
    return state.value


def shown(state: State[BoundTree]) -> str:
    match state:
        case Ok(tree):
            return tree.show()
        case Failed(error):
            return f"failed: {error}"
        case _:
            return "pending"


def outline(step: Step, indent: str = "") -> list[str]:
    """Return a line for each step: its name, what led to it, and what it comes to."""
    led = [step.entry.show()] if step.entry else []
    led += [f"by {step.by.show()}"] if step.by else []
    share = f"{step.weight:g} * " if step.weight != 1 else ""
    name = step.name.show() if step.name is not None else "-"
    line = f"{indent}{share}{name} ({', '.join(led)}) = {shown(step.state)}"
    kind = " &" if step.is_union else ""
    return [line + kind, *(one for each in step.steps for one in outline(each, indent + "  "))]


def every(root: Step) -> list[Step]:
    """Return all steps."""
    steps = [root]
    for step in steps:
        steps += step.steps
    return steps


def test_the_example_of_linkerd() -> None:
    found = delegation("/boo=>/foo ; /foo=>/bar | /$/fail ; /foo=>/bah", "/boo/humbug")
    assert outline(found.root) == [
        "/boo/humbug () = !",
        "  /foo/humbug (/boo=>/foo) = !",
        "    /bah/humbug (/foo=>/bah) = ~",
        "    - (/foo=>/bar | /$/fail) = !",
        "      /bar/humbug (/foo=>/bar | /$/fail) = ~",
        "      /$/fail/humbug (/foo=>/bar | /$/fail) = !",
        "        - (by /$) = !",
    ]
    assert shown(found.state) == "!"


def test_alternatives_behind_the_one_that_is_taken_are_shown_too() -> None:
    found = delegation("/svc=>/$/nil | ! ; /svc=>/#/names | /#/names/bad", "/svc/a")
    assert outline(found.root) == [
        "/svc/a () = /#/names/a",
        "  - (/svc=>/#/names | /#/names/bad) = /#/names/a",
        "    /#/names/a (/svc=>/#/names | /#/names/bad) = /#/names/a",
        "      - (by /#/names) = /#/names/a",
        "    /#/names/bad/a (/svc=>/#/names | /#/names/bad) = ~",
        "      - (by /#/names) = ~",
        "  - (/svc=>/$/nil | !) = $",
        "    /$/nil/a (/svc=>/$/nil | !) = $",
        "      - (by /$) = $",
        "    - (/svc=>/$/nil | !) = !",
    ]


def test_members_of_a_union_have_their_weights_and_ends_of_their_own() -> None:
    tree = "2*/#/names/a & /#/names/slow & 0.5*(/#/names/bad | ~) & ~"
    found = delegation(f"/svc=>{tree}", "/svc")
    assert [line.partition(" (/svc")[0] for line in outline(found.root)[1:]] == [
        "  -",
        "    2 * /#/names/a",
        "      - (by /#/names) = /#/names/a",
        "    /#/names/slow",
        "      - (by /#/names) = pending",
        "    0.5 * -",
        "      /#/names/bad",
        "        - (by /#/names) = failed: bad",
        "      -",
        "    -",
    ]
    [union] = found.root.steps
    assert union.is_union
    assert [shown(step.state) for step in union.steps] == [
        "/#/names/a",
        "pending",
        "failed: bad",
        "~",
    ]
    assert shown(found.state) == "/#/names/a"


def test_every_namer_that_was_asked_is_shown() -> None:
    namers = [Names(Path.of("#")), Names(NAMES)]
    assert outline(delegation("/#/names=>~", "/#/names/x", namers).root) == [
        "/#/names/x () = ~",
        "  - (/#/names=>~) = ~",
        "  - (by /#/names) = ~",
        "  - (by /#) = ~",
    ]


def test_what_is_rewritten_is_by_the_namer() -> None:
    found = delegation("/svc=>/$/io.buoyant.porthostPfx/#/names", "/svc/a")
    assert outline(found.root)[-1] == "    - (by /$) = ~"
    found = delegation("/srv=>/#/names ; /svc=>/$/io.buoyant.porthostPfx/srv", "/svc/a:b")
    assert outline(found.root) == [
        "/svc/a:b () = /#/names/a",
        "  /$/io.buoyant.porthostPfx/srv/a:b (/svc=>/$/io.buoyant.porthostPfx/srv) = /#/names/a",
        "    /srv/b/a (by /$) = /#/names/a",
        "      /#/names/b/a (/srv=>/#/names) = /#/names/a",
        "        - (by /#/names) = /#/names/a",
    ]


def test_transformers_of_the_interpreter_come_after_each_end() -> None:
    found = delegation("/svc=>/#/names/a & ~", "/svc", marks=["/%/one", "/%/two"])
    assert outline(found.root)[2:] == [
        "    /#/names/a (/svc=>/#/names/a & ~) = /#/names/a",
        "      - (by /#/names) = /#/names/a",
        "        - (by /%/one) = /%/one/#/names/a",
        "          - (by /%/two) = /%/two/%/one/#/names/a",
        "    - (/svc=>/#/names/a & ~) = ~",
    ]
    assert shown(found.state) == "/%/two/%/one/#/names/a"


def test_a_loop_fails_its_branch_and_the_others_are_shown() -> None:
    found = delegation("/svc=>/#/names/a ; /svc=>/svc", "/svc")
    assert shown(found.state) == "failed: Max recursion level: 100 reached in Namer lookup"
    assert [shown(step.state) for step in found.root.steps] == [
        "failed: Max recursion level: 100 reached in Namer lookup",
        "/#/names/a",
    ]


def test_a_table_that_grows_ends_at_the_bound_and_every_step_has_an_end() -> None:
    found = delegation("/svc=>/svc/x | /svc/y", "/svc/a")
    assert shown(found.state).startswith("failed: ")
    steps = every(found.root)
    assert PENDING not in [step.state for step in steps]
    assert len(steps) < 2 * MAX_NODES


def test_a_delegation_follows_its_namers() -> None:
    answer: Var[State[NameTree[Path | Bound]]] = Var(PENDING)

    class Slow:
        prefix = Path.of("#", "slow")

        def lookup(self, path: Path) -> Lookup:
            del path
            return answer

    interpreter = DefaultInterpreter([Slow()], SYSTEM)
    seen: list[str] = []
    close = interpreter.delegate(Dtab(), Path.parse("/#/slow/a")).observe(
        lambda state: seen.append(shown(state.value.state) if isinstance(state, Ok) else "none")
    )
    answer.set(Ok(NEG))
    close()
    assert seen == ["pending", "~"]


leaves = st.sampled_from(["~", "!", "$", "/svc", "/a", "/b/c", "/#/names/a", "/#/names/slow"])
trees = st.recursive(
    leaves | st.just("/#/names/bad"),
    lambda inner: st.builds(
        lambda join, members: "(" + join.join(members) + ")",
        st.sampled_from([" | ", " & "]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)
tables = st.lists(
    st.tuples(st.sampled_from(["/svc", "/a", "/b", "/*"]), trees), min_size=1, max_size=4
).map(lambda entries: ";".join(f"{prefix}=>{tree}" for prefix, tree in entries))


@given(tables)
def test_what_is_explained_is_what_is_bound(dtab: str) -> None:
    interpreter = DefaultInterpreter([Names(NAMES)], SYSTEM)
    bound = interpreter.bind(Dtab.parse(dtab), Path.of("svc")).sample()
    found = delegation(dtab, "/svc")
    assert found.root.state == found.state
    states = [step.state for step in every(found.root)]
    if not any(isinstance(state, Failed) and "More than" in str(state.error) for state in states):
        assert found.state == bound


@pytest.mark.parametrize(
    ("dtab", "path", "route"),
    [
        ("", "/#/names/a", ["/#/names/a -"]),
        ("/svc => /#/names", "/svc/a", ["/svc/a -", "/#/names/a /svc=>/#/names"]),
        (
            "/srv => /#/names ; /svc/* => /srv",
            "/svc/x/a",
            ["/svc/x/a -", "/srv/a /svc/*=>/srv", "/#/names/a /srv=>/#/names"],
        ),
        (
            "/svc => /#/names ; /svc => /nowhere ; /svc => /#/names/slow | /#/names/bad | ~",
            "/svc/a",
            ["/svc/a -", "/#/names/a /svc=>/#/names"],
        ),
        (
            "/svc => 1 * /#/names/c & 2 * /#/names",
            "/svc/a",
            ["/svc/a -", "/#/names/a /svc=>/#/names/c & 2.00*/#/names"],
        ),
        (
            "/srv => /#/names ; /svc => /$/io.buoyant.porthostPfx/srv",
            "/svc/a:b",
            [
                "/svc/a:b -",
                "/$/io.buoyant.porthostPfx/srv/a:b /svc=>/$/io.buoyant.porthostPfx/srv",
                "/srv/b/a -",
                "/#/names/b/a /srv=>/#/names",
            ],
        ),
        (
            "/svc => /#/names",
            "/svc/alias",
            ["/svc/alias -", "/#/names/alias /svc=>/#/names", "/#/names/a -"],
        ),
        ("/svc => /#/names", "/svc/unknown", []),
        ("/svc => /svc", "/svc/a", []),
        ("/svc => /svc/x | /svc/y", "/svc/a", []),
    ],
)
def test_the_way_to_a_bound_name(dtab: str, path: str, route: list[str]) -> None:
    found = route_to(Path.parse("/#/names/a"), delegation(dtab, path).root)
    assert [f"{hop.name.show()} {hop.entry.show() if hop.entry else '-'}" for hop in found] == route
