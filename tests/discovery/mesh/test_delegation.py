"""The steps of a delegation as namerd's mesh tells them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.mesh.delegation import Delegations
from meshproxy.discovery.mesh.trees import MAX_DEPTH
from meshproxy.discovery.namerd import BoundName
from meshproxy.discovery.protobuf import member
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.naming.addr import ADDR_NEG
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Step
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Ok, Var
from tests.kit.mesh_messages import alt, leaf, path, union, write

NONE: dict[str, Any] = {}
RULE = {
    "prefix": {"elems": [{"label": "c3Zj"}]},
    "dst": {"leaf": {"id": path("/#/x")}},
}


def bound(name: BoundName) -> Bound:
    return Bound(name.id, Var(ADDR_NEG), name.residual)


def read(sent: dict[str, Any]) -> Step:
    return Delegations(bound).read(write("BoundDelegateTree", sent))


def to(bound_id: str) -> Leaf[Bound]:
    return Leaf(Bound(Path.parse(bound_id), Var(ADDR_NEG)))


def test_a_name_is_delegated_by_a_rule_to_its_end() -> None:
    step = read(
        {
            "path": path("/svc/web"),
            "delegate": {
                "path": path("/#/x/web"),
                "dentry": RULE,
                **alt({"path": path("/#/x/web"), "neg": NONE}, leaf("/#/x/web", "/rest")),
            },
        }
    )
    (following,) = step.steps
    assert (step.name, following.name) == (Path.parse("/svc/web"), Path.parse("/#/x/web"))
    assert step.entry is None
    assert following.entry is not None
    assert following.entry.show() == "/svc=>/#/x"
    assert [one.state for one in following.steps] == [Ok(NEG), step.state]
    assert isinstance(step.state, Ok)
    assert isinstance(step.state.value, Leaf)
    assert step.state.value.value == Bound(Path.parse("/#/x/web"), Var(ADDR_NEG), Path.of("rest"))


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        ({"neg": NONE}, Ok(NEG)),
        ({"fail": NONE}, Ok(FAIL)),
        ({"empty": NONE}, Ok(EMPTY)),
        ({"exception": "no zone"}, Failed(Exception("namerd: no zone"))),
        (alt({"neg": NONE}, {"fail": NONE}, leaf("/#/x")), Ok(FAIL)),
        (alt({"neg": NONE}), Ok(NEG)),
        (union((1, leaf("/#/x")), (2, {"neg": NONE})), Ok(to("/#/x"))),
        (
            union((1, leaf("/#/x")), (2, leaf("/#/y")), (3, {"exception": "e"})),
            Ok(Union((Weighted(1.0, to("/#/x")), Weighted(2.0, to("/#/y"))))),
        ),
        (union((1, {"exception": "e"})), Failed(Exception("namerd: e"))),
        (union((1, {"exception": "e"}), (1, {"neg": NONE})), Ok(NEG)),
        (union(), Ok(NEG)),
    ],
)
def test_each_kind_of_step_comes_to_what_it_says(sent: Any, state: Any) -> None:
    assert read(sent).state == state


def test_a_union_keeps_its_weights() -> None:
    step = read(union((1, leaf("/#/x")), (2, leaf("/#/y"))))
    assert step.is_union
    assert [one.weight for one in step.steps] == [1.0, 2.0]


def test_a_transformation_is_what_its_transformer_made_of_the_step_behind() -> None:
    changed = {"name": "port", "leaf": leaf("/%/port/#/x")["leaf"], "tree": leaf("/#/x")}
    step = read({"path": path("/#/x"), "transformation": changed})
    (before,) = step.steps
    assert (step.name, before.by) == (None, Path.of("%", "port"))
    assert (step.state, before.state) == (Ok(to("/%/port/#/x")), Ok(to("/#/x")))


def deep(depth: int) -> bytes:
    tree = member(3)
    for _ in range(depth):
        tree = member(9, tree)
    return tree


@pytest.mark.parametrize(
    ("wire", "why"),
    [(b"", "unknown kind"), (member(8), "without an id"), (deep(MAX_DEPTH), "too deeply")],
)
def test_what_is_no_delegation_is_refused(wire: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        Delegations(bound).read(wire)


@given(st.binary(max_size=60))
def test_any_bytes_are_steps_or_refused(wire: bytes) -> None:
    try:
        step = Delegations(bound).read(wire)
    except Malformed:
        return
    assert isinstance(step.state, Ok | Failed)
