"""What the base of announcers asks of a kind."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from meshproxy.config.announcers import AnnouncerConfig
from meshproxy.naming.path import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine(AnnouncerConfig):
    kind: ClassVar[str] = "com.example.mine"
    default_prefix: ClassVar[Path] = Path.of("mine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished(AnnouncerConfig):
    kind: ClassVar[str] = "com.example.unfinished"


def test_names_begin_with_the_prefix_that_is_written_or_that_of_the_kind() -> None:
    assert Mine().full_prefix() == Path.parse("/#/mine")
    assert Mine(prefix=Path.parse("/a/b")).full_prefix() == Path.parse("/#/a/b")


def test_a_kind_without_a_prefix_is_found_out_when_a_file_is_read() -> None:
    Mine().trial()
    with pytest.raises(AttributeError, match="default_prefix"):
        Unfinished().trial()


def test_what_is_built_announces() -> None:
    assert "without announce" in (Mine().lacks(object()) or "")
