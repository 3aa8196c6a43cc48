import pytest

from meshproxy.naming.addr import (
    ADDR_NEG,
    ADDR_PENDING,
    Addr,
    AddrBound,
    Address,
    AddrFailed,
)
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.namer import BoundTree
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.transformers.leaves import LeafTransformer, keeping, kept
from meshproxy.var import Var

ONE, TWO = Address("10.0.0.1", 80), Address("10.0.0.2", 80)
PREFIX = Path.of("%", "t")


def leaf(name: str, addr: Addr = ADDR_PENDING, residual: str = "/") -> Leaf[Bound]:
    return Leaf(Bound(Path.of("#", name), Var(addr), Path.parse(residual)))


@pytest.mark.parametrize("tree", [NEG, FAIL, EMPTY])
def test_a_tree_without_names_comes_back_at_once(tree: BoundTree) -> None:
    transformer = LeafTransformer(PREFIX, keeping(lambda _: True))
    assert transformer.transform(tree) == tree


def test_every_name_keeps_its_place_and_residual_and_gets_the_prefix() -> None:
    tree: BoundTree = Union((Weighted(1.0, leaf("a")), Weighted(2.0, leaf("b", residual="/x"))))
    changed = LeafTransformer(PREFIX, keeping(lambda _: True)).transform(tree)
    assert changed == Union(
        (
            Weighted(1.0, Leaf(Bound(Path.of("%", "t", "#", "a"), Var(ADDR_NEG)))),
            Weighted(2.0, Leaf(Bound(Path.of("%", "t", "#", "b"), Var(ADDR_NEG), Path.of("x")))),
        )
    )


def test_addresses_are_followed() -> None:
    addr: Var[Addr] = Var(ADDR_PENDING)
    transformer = LeafTransformer(PREFIX, keeping(lambda address: address == ONE))
    changed = transformer.transform(Leaf(Bound(Path.of("#", "a"), addr)))
    assert isinstance(changed, Leaf)
    seen: list[Addr] = []
    close = changed.value.addr.observe(seen.append)
    addr.set(AddrBound(frozenset({ONE, TWO})))
    addr.set(AddrBound(frozenset({TWO})))
    close()
    assert seen == [ADDR_PENDING, AddrBound(frozenset({ONE})), ADDR_NEG]


@pytest.mark.parametrize("addr", [ADDR_PENDING, ADDR_NEG, AddrFailed("why")])
def test_what_is_not_bound_stays_as_it_is(addr: Addr) -> None:
    assert kept(addr, lambda _: False) == addr


def test_an_empty_set_is_negative() -> None:
    assert kept(AddrBound(frozenset()), lambda _: True) == ADDR_NEG


def test_what_is_kept_keeps_its_authority() -> None:
    addr = AddrBound(frozenset({ONE, TWO}), "a.test")
    assert kept(addr, lambda one: one == ONE) == AddrBound(frozenset({ONE}), "a.test")


@pytest.mark.parametrize("chosen_by", ChosenBy)
def test_who_chose_a_name_stays_unless_it_is_redirected(chosen_by: ChosenBy) -> None:
    bound = Bound(Path.of("#", "a"), Var(ADDR_PENDING), Path(), chosen_by)
    for redirects, expected in ((False, chosen_by), (True, ChosenBy.NAMER)):
        changed = LeafTransformer(PREFIX, keeping(bool), redirects=redirects).transform(Leaf(bound))
        assert isinstance(changed, Leaf)
        assert changed.value.chosen_by is expected
