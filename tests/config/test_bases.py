from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from meshproxy.config.bases import (
    AccrualConfig,
    BackoffConfig,
    BalancerConfig,
    ClassifierConfig,
    IdentifierConfig,
    InterpreterConfig,
    NamerConfig,
    TelemeterConfig,
    TransformerConfig,
)
from meshproxy.config.kinds import KINDS
from meshproxy.naming.path import Path

NOWHERE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stars(NamerConfig):
    kind: ClassVar[str] = "stars"
    default_prefix: ClassVar[Path] = Path.of("stars")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror(TransformerConfig):
    kind: ClassVar[str] = "mirror"
    default_prefix: ClassVar[Path] = Path.of("mirror")


def test_a_namer_answers_below_its_default_prefix_or_the_one_written() -> None:
    assert Stars().full_prefix() == Path.parse("/#/stars")
    assert Stars(prefix=Path.parse("/my/sky")).full_prefix() == Path.parse("/#/my/sky")


def test_a_transformer_marks_ids_with_its_default_prefix_or_the_one_written() -> None:
    assert Mirror().full_prefix(NOWHERE) == Path.parse("/%/mirror")
    assert Mirror(prefix=Path.parse("/m")).full_prefix(NOWHERE) == Path.parse("/%/m")


@pytest.mark.parametrize(
    "base",
    [
        AccrualConfig,
        BackoffConfig,
        BalancerConfig,
        ClassifierConfig,
        IdentifierConfig,
        InterpreterConfig,
        NamerConfig,
        TelemeterConfig,
        TransformerConfig,
    ],
)
def test_every_base_names_a_row_of_the_table_and_no_kind(base: type[NamerConfig]) -> None:
    assert base.category in KINDS
    assert not hasattr(base, "kind")
