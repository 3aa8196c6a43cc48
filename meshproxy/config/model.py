"""Classes of configuration: their fields are YAML keys, with types, defaults and bounds."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, ClassVar, Final, get_type_hints

from meshproxy.config.errors import Problem

_METADATA: Final = "meshproxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A mapping of the configuration file; its docstring appears on the reference page."""

    former: ClassVar[Mapping[str, str]] = {}
    """Keys that may be written here by mistake or habit, and what to write instead."""

    def check(self) -> Iterable[Problem]:
        """Yields the problems between the keys of this object."""
        return ()

    def also_speaks(self) -> Iterable[str]:
        """Returns the protocols that its keys may be about beside the router's own."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinded(Config):
    """A mapping whose class depends on its `kind`.

    A base sets `category`, a row of `kinds.KINDS`; a class that can be configured also sets `kind`.
    """

    category: ClassVar[str]
    kind: ClassVar[str]
    kind_key: ClassVar[str] = "kind"
    default_kind: ClassVar[str | None] = None
    only_for: ClassVar[str | None] = None
    """The protocol of the only routers that have it, `http` or `h2`; None for all."""
    requires_experimental: ClassVar[bool] = False
    """True if it is refused unless `experimental: true` is written."""
    offers: ClassVar[str] = ""
    """Attributes of what it builds, with spaces between them."""

    def trial(self) -> object:
        """Builds what needs no running proxy, so that faults show when a file is read.

        Returns None if there is nothing to build.
        """
        return None

    def lacks(self, built: object) -> str | None:
        """Returns a message if *built*, the result of `build`, lacks attributes of `offers`."""
        missing = [name for name in self.offers.split() if not hasattr(built, name)]
        if not missing:
            return None
        return f"{self.kind} builds a {type(built).__name__} without {', '.join(missing)}"


def key(
    *,
    default: Any = MISSING,
    name: str | None = None,
    doc: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    only: tuple[Any, ...] = (),
    unsupported: bool = False,
    added: bool = False,
    only_for: str | None = None,
    quoted: bool = False,
    one_or_many: bool = False,
    filled: bool = False,
    in_file: bool = False,
    secret: bool = False,
    whole: Callable[[Any], Iterable[Problem]] | None = None,
) -> Any:
    """Declares a key; it is required if it has no default.

    Args:
        default: the value when unset.
        name: the YAML name, if it is not the field's name in camelCase.
        doc: one sentence for the reference page.
        minimum: the smallest number accepted.
        maximum: the largest number accepted.
        only: the values supported so far; other valid ones are "not supported yet".
        unsupported: known to Linkerd, "not supported yet" when written.
        added: an addition of meshproxy, unknown to Linkerd.
        only_for: the protocol of the only routers that have it, `http` or `h2`.
        quoted: True if a number in quotes is accepted too.
        one_or_many: True if a list may be written as its only item.
        filled: True if a key without a value is an error, where others count as unset.
        in_file: True if the value names a file that holds the list.
        secret: True if the value is never shown.
        whole: finds what is wrong between the items of a list; each key begins with `[index]`.
    """
    facts = {
        "name": name,
        "doc": doc,
        "minimum": minimum,
        "maximum": maximum,
        "only": only,
        "unsupported": unsupported,
        "added": added,
        "only_for": only_for,
        "quoted": quoted,
        "one_or_many": one_or_many,
        "filled": filled,
        "in_file": in_file,
        "secret": secret,
        "whole": whole,
    }
    return dataclasses.field(default=default, metadata={_METADATA: facts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a class: the arguments of `key()` and the type of the field."""

    field: str
    name: str
    type: Any
    default: Any
    doc: str = ""
    minimum: float | None = None
    maximum: float | None = None
    only: tuple[Any, ...] = ()
    unsupported: bool = False
    added: bool = False
    only_for: str | None = None
    quoted: bool = False
    one_or_many: bool = False
    filled: bool = False
    in_file: bool = False
    secret: bool = False
    whole: Callable[[Any], Iterable[Problem]] | None = None

    @property
    def is_required(self) -> bool:
        """True if there is no default."""
        return self.default is MISSING


def keys_of(cls: type[Config]) -> tuple[Key, ...]:
    """Returns the keys of *cls*, those of its bases first."""
    hints = get_type_hints(cls)
    return tuple(_key_of(field, hints[field.name]) for field in dataclasses.fields(cls))


def _key_of(field: "dataclasses.Field[Any]", hint: Any) -> Key:
    facts = dict(field.metadata.get(_METADATA, {}))
    name = facts.pop("name", None) or camel(field.name)
    default = field.default
    if default is MISSING and field.default_factory is not MISSING:
        default = field.default_factory()
    return Key(field=field.name, name=name, type=hint, default=default, **facts)


def camel(name: str) -> str:
    """Returns the YAML name of a field: `max_headers_kb` is `maxHeadersKB`."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join("KB" if word == "kb" else word.capitalize() for word in rest)
