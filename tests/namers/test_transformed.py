"""Transformers of a namer see its bound results and nothing else."""

from dataclasses import dataclass

import pytest

from meshproxy.namers.transformed import TransformedNamer
from meshproxy.naming.addr import ADDR_NEG, Addr
from meshproxy.naming.bound import Bound
from meshproxy.naming.namer import BoundTree, Lookup
from meshproxy.naming.nametree import NEG, Alt, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Ok, Var

ADDR: Var[Addr] = Var(ADDR_NEG)
BOUND = Leaf(Bound(Path.of("#", "n", "x"), ADDR))
FURTHER = Leaf(Path.of("svc", "y"))


@dataclass
class Fixed:
    """A namer with one answer."""

    answer: Lookup
    prefix: Path = Path.of("#", "n")  # noqa: RUF009 - a path never changes

    def lookup(self, path: Path) -> Lookup:
        del path
        return self.answer


@dataclass
class Prefixing:
    """Puts a segment in front of every id."""

    name: str
    lives: bool = False

    @property
    def prefix(self) -> Path:
        return Path.of("%", self.name)

    def transform(self, tree: BoundTree) -> Lookup:
        changed = tree.map(lambda one: Bound(self.prefix + one.id, one.addr, one.residual))
        return Var(Ok(changed)) if self.lives else changed


def named(answer: Lookup, *transformers: Prefixing) -> Lookup:
    namer = TransformedNamer(Fixed(answer), transformers)  # type: ignore[arg-type]
    assert namer.prefix == Path.of("#", "n")
    return namer.lookup(Path.of("x"))


def test_the_last_transformer_ends_up_leftmost() -> None:
    found = named(BOUND, Prefixing("a"), Prefixing("b"))
    assert isinstance(found, Leaf)
    assert found.value.show() == "/%/b/%/a/#/n/x"


@pytest.mark.parametrize("tree", [FURTHER, Alt((BOUND, FURTHER))], ids=["a path", "a mixture"])
def test_further_paths_pass_untouched(tree: Lookup) -> None:
    assert named(tree, Prefixing("a")) == tree


def test_negative_stays_negative() -> None:
    assert named(NEG, Prefixing("a")) is NEG


@pytest.mark.parametrize("lives", [False, True])
def test_a_live_answer_is_followed(lives: bool) -> None:
    answer: Var = Var(PENDING)
    found = named(answer, Prefixing("a", lives))
    assert isinstance(found, Var)
    seen: list[object] = []
    close = found.observe(seen.append)
    answer.set(Ok(BOUND))
    answer.set(Ok(NEG))
    close()
    assert seen[0] is PENDING
    assert isinstance(seen[1], Ok)
    assert seen[1].value.value.show() == "/%/a/#/n/x"
    assert seen[2] == Ok(NEG)
