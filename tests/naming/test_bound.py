"""Bound names are what their id and residual say."""

from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.path import Path
from meshproxy.var import Var


def bound(
    name: str,
    residual: str = "/",
    addr: Addr = ADDR_PENDING,
    chosen_by: ChosenBy = ChosenBy.NAMER,
) -> Bound:
    return Bound(Path.parse(name), Var(addr), Path.parse(residual), chosen_by)


def test_the_address_plays_no_part_in_equality() -> None:
    assert bound("/#/a") == bound("/#/a", addr=ADDR_NEG)
    assert hash(bound("/#/a")) == hash(bound("/#/a", addr=ADDR_NEG))


def test_id_residual_and_who_chose_it_do() -> None:
    assert bound("/#/a") != bound("/#/b")
    assert bound("/#/a", "/x") != bound("/#/a", "/y")
    assert bound("/#/a") != bound("/#/a", chosen_by=ChosenBy.REQUEST)


def test_it_is_shown_by_its_id() -> None:
    assert bound("/#/a", "/x").show() == "/#/a"
