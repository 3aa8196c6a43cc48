"""The steps of a delegation in the words of Linkerd's JSON."""

from typing import Any

import pytest

from meshproxy.admin.delegation_tree import delegation_tree, ends
from meshproxy.errors import BindingFailed
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Step
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State, Var

NAME = Path.parse("/svc/web")
(ENTRY,) = Dtab.parse("/svc => /#/fs")


def bound(addr: Addr = ADDR_NEG) -> NameTree[Bound]:
    return Leaf(Bound(Path.parse("/#/fs/web"), Var(addr), Path.parse("/rest")))


def made(**fields: Any) -> Step:
    """Return a step with these *fields*."""
    step = Step()
    for name, value in fields.items():
        setattr(step, name, value)
    return step


def show(step: Step) -> dict[str, Any]:
    return delegation_tree(step, NAME)


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (Ok(NEG), {"type": "neg"}),
        (Ok(FAIL), {"type": "fail"}),
        (Ok(EMPTY), {"type": "empty"}),
        (Failed(BindingFailed("no API")), {"type": "exception", "message": "no API"}),
        (PENDING, {"type": "exception", "message": "no answer yet"}),
    ],
)
def test_an_end_has_a_type_and_the_path_above(
    state: State[NameTree[Bound]], shown: dict[str, Any]
) -> None:
    assert show(made(state=state)) == {"path": "/svc/web", **shown}


@pytest.mark.parametrize(
    ("addr", "shown"),
    [
        (ADDR_NEG, {"type": "neg"}),
        (ADDR_PENDING, {"type": "pending"}),
        (AddrFailed("no file"), {"type": "failed", "cause": "no file"}),
        (
            AddrBound(frozenset({Address("10.0.0.1", 80, 2.0, (("zone", "a"),))})),
            {
                "type": "bound",
                "addrs": [
                    {
                        "ip": "10.0.0.1",
                        "port": 80,
                        "meta": {"endpoint_addr_weight": 2.0, "zone": "a"},
                    }
                ],
                "meta": {},
            },
        ),
    ],
)
def test_a_leaf_has_what_is_known_of_its_addresses(addr: Addr, shown: dict[str, Any]) -> None:
    leaf = show(made(state=Ok(bound(addr))))
    assert leaf == {
        "type": "leaf",
        "path": "/svc/web",
        "bound": {"addr": shown, "id": "/#/fs/web", "path": "/rest"},
    }


def test_a_rule_is_shown_where_it_led_to() -> None:
    below = made(entry=ENTRY, name=Path.parse("/#/fs/web"), steps=[made(state=Ok(NEG))])
    assert show(made(name=NAME, steps=[below])) == {
        "type": "delegate",
        "path": "/svc/web",
        "delegate": {
            "type": "delegate",
            "path": "/#/fs/web",
            "dentry": {"prefix": "/svc", "dst": "/#/fs"},
            "delegate": {"type": "neg", "path": "/#/fs/web"},
        },
    }


def test_several_are_alternatives_or_a_union() -> None:
    steps = [made(weight=9.0, state=Ok(NEG)), made(state=Ok(FAIL))]
    alt, union = show(made(name=NAME, steps=steps)), show(made(is_union=True, steps=steps))
    assert (alt["type"], [one["type"] for one in alt["alt"]]) == ("alt", ["neg", "fail"])
    members = [(one["weight"], one["tree"]["type"]) for one in union["union"]]
    assert (union["type"], members) == ("union", [(9.0, "neg"), (1.0, "fail")])


def test_what_a_transformer_made_of_a_bound_name_is_behind_it() -> None:
    after = made(by=Path.parse("/%/port/80"), state=Ok(bound()))
    shown = show(made(by=Path.parse("/#/fs"), steps=[after], state=Ok(bound())))
    assert (shown["type"], shown["name"]) == ("transformation", "/%/port/80")
    assert (shown["bound"]["id"], shown["tree"]["type"]) == ("/#/fs/web", "leaf")


def test_ends_are_the_steps_without_others_after_them() -> None:
    one, two = Step(), Step()
    assert set(map(id, ends(made(steps=[one, made(steps=[two])])))) == {id(one), id(two)}
