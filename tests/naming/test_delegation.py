"""The way to a bound name among the steps of a delegation."""

from meshproxy.naming.addr import ADDR_NEG
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Hop, Step, route_to
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Ok, Var

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
