from typing import Any

import pytest

from meshproxy.config.bases import TransformerConfig
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.namer import BoundTree
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Alt, Leaf, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.transformers.replace import ConstConfig, ReplaceConfig
from meshproxy.var import PENDING, Activity, Failed, Ok, State, Var

OTHER = Path.parse("/$/inet/127.1/80")


def leaf(path: str) -> Leaf[Bound]:
    return Leaf(Bound(Path.parse(path), Var(ADDR_NEG)))


def result(transformed: Any) -> State[BoundTree]:
    """Return what the transformer made now, alive or not."""
    return transformed.sample() if isinstance(transformed, Var) else Ok(transformed)


@pytest.fixture
def other(build: Any) -> Activity[BoundTree]:
    bound = Bound(OTHER, Var(ADDR_PENDING), Path.of("rest"), ChosenBy.REQUEST)
    activity: Activity[BoundTree] = Var(Ok(Leaf(bound)))
    build.bound[OTHER.show()] = activity
    return activity


def replaced(kind: str) -> Leaf[Bound]:
    own = Path.of("%", kind) + OTHER + OTHER
    return Leaf(Bound(own, Var(ADDR_PENDING), Path.of("rest")))


REPLACED = replaced("io.l5d.replace")


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (leaf("/#/a"), REPLACED),
        (NEG, NEG),
        (FAIL, FAIL),
        (EMPTY, EMPTY),
        (
            Union((Weighted(1.0, leaf("/#/a")), Weighted(2.0, EMPTY))),
            Union((Weighted(1.0, REPLACED), Weighted(2.0, EMPTY))),
        ),
        (Alt((NEG, leaf("/#/a"))), Alt((NEG, REPLACED))),
        (Alt((NEG, FAIL)), Alt((NEG, FAIL))),
    ],
)
@pytest.mark.usefixtures("other")
def test_bound_names_alone_are_replaced(build: Any, tree: BoundTree, expected: BoundTree) -> None:
    assert result(build(ReplaceConfig(path=OTHER)).transform(tree)) == Ok(expected)


@pytest.mark.parametrize("tree", [leaf("/#/a"), NEG, FAIL, EMPTY])
@pytest.mark.usefixtures("other")
def test_const_replaces_everything(build: Any, tree: BoundTree) -> None:
    transformed = build(ConstConfig(path=OTHER)).transform(tree)
    assert result(transformed) == Ok(replaced("io.l5d.const"))


@pytest.mark.parametrize("kind", [ReplaceConfig, ConstConfig])
def test_a_prefix_of_its_own_stands_alone(
    build: Any, other: Activity[BoundTree], kind: type[TransformerConfig]
) -> None:
    config = kind(path=OTHER, prefix=Path.of("mine"))  # type: ignore[call-arg]
    transformed = build(config).transform(leaf("/#/a"))
    state = result(transformed)
    assert isinstance(state, Ok)
    assert isinstance(state.value, Leaf)
    assert state.value.value.id == Path.of("%", "mine") + OTHER
    failed = Failed(LookupError("gone"))
    other.set(failed)
    assert result(transformed) == failed
    other.set(PENDING)
    assert result(transformed) == PENDING
