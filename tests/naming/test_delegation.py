"""The way to a bound name among the steps of a delegation."""

from dataclasses import replace

import pytest

from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Hop, Step, dead_ends, route_to
from meshproxy.naming.dtab import Dentry, Dtab
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State, Var

[RULE, OTHER] = Dtab.parse("/svc => /a | /b ; /svc => /c")
SVC, A, B = Path.of("svc"), Path.of("a"), Path.of("b")


def end(bound_id: Path | None) -> Step:
    step = Step()
    step.state = Ok(NEG if bound_id is None else Leaf(Bound(bound_id, Var(ADDR_NEG))))
    return step


def name(path: Path, *steps: Step) -> Step:
    step = Step(RULE)
    step.name = path
    step.steps += steps
    return step


def group(*steps: Step) -> Step:
    step = Step(RULE)
    step.steps += steps
    return step


def test_the_first_end_of_that_id_counts() -> None:
    first, second = name(A, end(A)), name(B, end(None), end(A))
    assert route_to(A, name(SVC, second, first)) == (Hop(SVC, RULE), Hop(B, RULE))
    assert route_to(A, name(SVC, first, second)) == (Hop(SVC, RULE), Hop(A, RULE))


def test_steps_without_a_name_are_passed_over() -> None:
    assert route_to(A, name(SVC, group(end(None), group(name(B, end(A)))))) == (
        Hop(SVC, RULE),
        Hop(B, RULE),
    )


def test_what_transformers_put_in_front_does_not_matter() -> None:
    root = name(SVC, name(A, end(A)))
    assert route_to(Path.parse("/%/io.l5d.port/80/a"), root) == (Hop(SVC, RULE), Hop(A, RULE))
    assert route_to(B, root) == ()


def test_what_is_still_unknown_is_no_end() -> None:
    step = Step(OTHER)
    assert step.state == PENDING
    assert route_to(A, name(SVC, step)) == ()


def test_no_depth_is_too_deep() -> None:
    step = name(A, end(A))
    for _ in range(5000):
        step = group(step)
    assert route_to(A, step) == (Hop(A, RULE),)


# --- ends that lead nowhere ---


def ended(state: State[NameTree[Bound]], rule: Dentry | None = None, by: str = "") -> Step:
    step = Step(rule, Path.parse(by) if by else None)
    step.state = state
    return step


def bound_to(addr: Addr) -> State[NameTree[Bound]]:
    return Ok(Leaf(Bound(B, Var(addr))))


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (ended(Ok(NEG), by="/#/fs"), "/#/fs says: no such name"),
        (ended(Ok(FAIL), RULE), "ended by !"),
        (ended(Ok(EMPTY), by="/#/fs"), "/#/fs says: ended by $"),
        (ended(Failed(OSError("broken")), by="/#/fs"), "/#/fs says: broken"),
        (ended(PENDING, by="/#/fs"), "/#/fs says: no answer yet"),
        (ended(bound_to(ADDR_NEG)), "bound to /b, which has no endpoints"),
        (ended(bound_to(AddrBound(frozenset()))), "bound to /b, which has no endpoints"),
        (ended(bound_to(AddrFailed("refused"))), "bound to /b: refused"),
        (ended(bound_to(ADDR_PENDING)), "bound to /b, whose addresses are not known yet"),
    ],
)
def test_an_end_says_why_it_leads_nowhere(step: Step, why: str) -> None:
    (found,) = dead_ends(name(A, step))
    assert (found.name, found.entry, found.why) == (A, RULE, why)
    assert found.show() == f"/a (/svc => /a | /b): {why}"


def test_a_name_that_nobody_has_ends_there_and_one_with_endpoints_does_not() -> None:
    unknown = name(A)
    unknown.state = Ok(NEG)
    known = end(B)
    known.state = bound_to(AddrBound(frozenset({Address("h", 1)})))
    (found,) = dead_ends(name(SVC, unknown, known))
    assert (found.name, found.why) == (A, "no dtab entry and no namer has this name")


def test_what_stands_behind_the_alternative_that_is_taken_does_not_count() -> None:
    negative, failing, behind = ended(Ok(NEG), RULE), ended(Ok(FAIL), OTHER), ended(Ok(NEG))
    assert [one.why for one in dead_ends(name(SVC, negative, failing, behind))] == [
        "ended by ~",
        "ended by !",
    ]
    root = name(SVC, ended(Ok(FAIL)), ended(Ok(EMPTY)))
    root.is_union = True
    assert len(dead_ends(root)) == 2


def test_the_place_of_a_rule_is_told_if_it_is_known() -> None:
    placed = replace(OTHER, place="a.yaml:3:5")
    (found,) = dead_ends(ended(Ok(FAIL), placed))
    assert found.show() == "/ (/svc => /c, a.yaml:3:5): ended by !"
