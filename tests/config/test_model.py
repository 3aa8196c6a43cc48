from dataclasses import dataclass

import pytest

from meshproxy.config.model import Config, camel, key, keys_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Base(Config):
    first_key: int = key(minimum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    for_: str | None = key(default=None, doc="Why.")
    pinned: bool = key(default=False, name="exactName", added=True)
    plain: int = 3


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("port", "port"),
        ("dst_prefix", "dstPrefix"),
        ("max_headers_kb", "maxHeadersKB"),
        ("for_", "for"),
    ],
)
def test_field_names_become_yaml_names(field: str, name: str) -> None:
    assert camel(field) == name


def test_keys_of_bases_come_first() -> None:
    assert [spec.name for spec in keys_of(Derived)] == ["firstKey", "for", "exactName", "plain"]


def test_a_key_without_default_is_required() -> None:
    first, other, pinned, plain = keys_of(Derived)
    assert first.is_required
    assert first.minimum == 1
    assert not other.is_required
    assert other.doc == "Why."
    assert pinned.added
    assert plain.default == 3


def test_nothing_is_wrong_by_default() -> None:
    assert list(Derived(first_key=1).check()) == []
