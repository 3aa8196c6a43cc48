"""Decodes the nodes of a file into frozen dataclasses and reports every problem at once.

A class of configuration is `@dataclass(frozen=True, slots=True, kw_only=True) class X(Config)`;
its fields are the keys (linkerd: config/.../PolymorphicConfig.scala, Jackson's strict mapping).
"""

import types
from collections import abc
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

from meshproxy.config import kinds
from meshproxy.config.document import parse
from meshproxy.config.dtabs import BadEntries
from meshproxy.config.errors import ConfigError, ConfigErrors, Findings, Problem, Severity
from meshproxy.config.files import FILES, Directory, MissingFile, RegularFile, find_file
from meshproxy.config.model import Config, Key, Kinded, key, keys_of
from meshproxy.config.nodes import Mapping, Node, Scalar, Sequence, is_unset, join, locate
from meshproxy.config.places import Mark
from meshproxy.config.scalars import (
    CONVERTERS,
    Ip,
    Port,
    Regex,
    WorkerCount,
    describe,
    unquoted,
)
from meshproxy.config.suggest import nearest, suggestion

__all__ = [
    "Config",
    "ConfigError",
    "ConfigErrors",
    "Directory",
    "Ip",
    "Kinded",
    "Port",
    "Problem",
    "Regex",
    "RegularFile",
    "Severity",
    "WorkerCount",
    "decode",
    "default_of",
    "key",
]

C = TypeVar("C", bound=Config)
K = TypeVar("K", bound=Kinded)

INVALID: Final = object()
"""Stands for a value whose problems have been recorded."""


def decode(cls: type[C], node: Node, findings: Findings) -> C | None:
    """Returns the configuration that *node* describes; None if there is an error in *findings*."""
    value = _Decoder(findings).config(cls, node, "")
    return value if isinstance(value, cls) else None


class _Decoder:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._is_refused = False
        """True inside an unsupported key, whose parts need not be reported as well."""

    def config(self, cls: type[Config], node: Node, at: str) -> object:
        """Returns the mapping *node* as *cls*, or as the class its kind names."""
        if not isinstance(node, Mapping):
            return self._refuse(node.mark, at, f"expected a mapping, found {describe(node)}")
        chosen = cls
        if issubclass(cls, Kinded) and not hasattr(cls, "kind"):
            found = self._class_of_kind(cls, node, at)
            if found is None:
                return INVALID
            chosen = found
        values = self._values(chosen, node, at)
        if any(value is INVALID for value in values.values()):
            return INVALID
        try:
            built = chosen(**values)
            is_sound = self._is_sound(built, node, at)
        except Exception as error:  # noqa: BLE001 - code of a plugin, run while a file is read
            what = f"{chosen.__name__} fails: {type(error).__name__}: {error}"
            return self._refuse(node.mark, at, what)
        return built if is_sound else INVALID

    def _class_of_kind(self, base: type[Kinded], node: Mapping, at: str) -> type[Config] | None:
        name = base.kind_key
        written = node.items.get(name)
        mark = node.marks.get(name, node.mark)
        try:
            if written is None or is_unset(written):
                if base.default_kind is None:
                    self._no_kind(base, node, at)
                    return None
                return _class_of(base, base.default_kind)
            if isinstance(written, Scalar):
                return _class_of(base, written.text)
            self._refuse(
                mark, join(at, name), f"expected a single value, found {describe(written)}"
            )
        except kinds.UnsupportedKind as error:
            self._unsupported(mark, join(at, name), str(error))
        except kinds.KindError as error:
            self._refuse(mark, join(at, name), str(error))
        return None

    def _no_kind(self, base: type[Kinded], node: Mapping, at: str) -> None:
        typo = None if base.kind_key in node.items else nearest(base.kind_key, node.items)
        if typo is not None:
            what = f"unknown key, did you mean {base.kind_key}?"
            self._refuse(node.marks[typo], join(at, typo), what)
            return
        known = ", ".join(kinds.built(base.category))
        self._refuse(node.mark, join(at, base.kind_key), f"is missing, write one of: {known}")

    def _values(self, cls: type[Config], node: Mapping, at: str) -> dict[str, object]:
        known = {spec.name: spec for spec in keys_of(cls)}
        names = [*known, cls.kind_key] if issubclass(cls, Kinded) else [*known]
        values: dict[str, object] = {}
        for name in node.items:
            if name not in names:
                hint = cls.former.get(name) or suggestion(name, names)
                what = f"unknown key, {hint}"
                values[name] = self._refuse(node.marks[name], join(at, name), what)
        for spec in known.values():
            written = node.items.get(spec.name)
            if spec.filled and written is not None and is_unset(written):
                path = join(at, spec.name)
                what = "has no value, write one or remove the key"
                values[spec.field] = self._refuse(node.marks[spec.name], path, what)
            elif written is not None and not is_unset(written):
                values[spec.field] = self._key(spec, node.marks[spec.name], written, at)
            elif spec.is_required:
                path = join(at, spec.name)
                values[spec.field] = self._refuse(node.mark, path, "is missing, it must be written")
        return values

    def _key(self, spec: Key, mark: Mark, node: Node, at: str) -> object:
        path = join(at, spec.name)
        if spec.unsupported:
            self._unsupported(mark, path, "not supported yet, remove it")
        was_refused, self._is_refused = self._is_refused, self._is_refused or spec.unsupported
        value = self._value(spec, spec.type, node, path)
        self._is_refused = was_refused
        if value is INVALID or spec.unsupported:
            return INVALID
        if spec.only and value not in spec.only:
            built = " or ".join(map(_yaml, spec.only))
            what = f"{_yaml(value)} is not supported yet, write {built} or remove it"
            return self._unsupported(mark, path, what)
        return value

    def _value(self, spec: Key, kind: Any, node: Node, at: str) -> object:
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            (kind,) = (arm for arm in get_args(kind) if arm is not type(None))
            return self._value(spec, kind, node, at)
        if origin is tuple:
            return self._items(spec, get_args(kind)[0], node, at)
        if origin is abc.Mapping:
            return self._members(spec, get_args(kind)[1], node, at)
        if isinstance(kind, type) and issubclass(kind, Config):
            return self.config(kind, node, at)
        if isinstance(node, Scalar) and not is_unset(node):
            return self._scalar(spec, kind, node, at)
        return self._refuse(node.mark, at, f"expected a single value, found {describe(node)}")

    def _items(self, spec: Key, kind: Any, node: Node, at: str) -> object:
        if spec.in_file and isinstance(node, Scalar):
            return self._items_of_file(spec, kind, node, at)
        if spec.one_or_many and not isinstance(node, Sequence):
            values = [self._value(spec, kind, node, at)]
        elif isinstance(node, Sequence):
            numbered = enumerate(node.items)
            values = [self._value(spec, kind, one, f"{at}[{n}]") for n, one in numbered]
        else:
            return self._refuse(node.mark, at, f"expected a list, found {describe(node)}")
        if any(value is INVALID for value in values):
            return INVALID
        problems = spec.whole(values) if spec.whole is not None else ()
        return tuple(values) if self._noted(problems, node, at) else INVALID

    def _items_of_file(self, spec: Key, kind: Any, node: Scalar, at: str) -> object:
        """Returns the list in the file that *node* names; what is wrong has its place there."""
        try:
            file = find_file(RegularFile, node.text, self._findings.directory)
            text = Path(file).read_text("utf-8")
        except MissingFile as error:
            self._findings.add(node.mark, at, str(error), Severity.MISSING)
            return None
        except (OSError, ValueError) as error:
            return self._refuse(node.mark, at, f"{node.text} cannot be read: {error}")
        findings = Findings(file)
        try:
            root = parse(text, findings, otherwise="write [] for an empty list")
            if isinstance(root, Sequence):
                return _Decoder(findings)._items(spec, kind, root, "")  # noqa: SLF001
            findings.add(root.mark, "", f"expected a list, found {describe(root)}")
        except ConfigErrors as error:
            findings.found += error.errors
        finally:
            self._findings.found += findings.found
        return INVALID

    def _members(self, spec: Key, kind: Any, node: Node, at: str) -> object:
        """Returns the mapping *node*: any names, each with a value of *kind*."""
        if not isinstance(node, Mapping):
            return self._refuse(node.mark, at, f"expected a mapping, found {describe(node)}")
        values = {
            name: self._value(spec, kind, one, join(at, name)) for name, one in node.items.items()
        }
        return INVALID if any(value is INVALID for value in values.values()) else values

    def _scalar(self, spec: Key, kind: Any, node: Scalar, at: str) -> object:
        if get_origin(kind) is Literal:
            return self._choice(get_args(kind), node, at)
        value = self._converted(kind, unquoted(node) if spec.quoted else node, at)
        if value is INVALID:
            return value
        if spec.minimum is not None and value < spec.minimum:
            return self._refuse(node.mark, at, f"{value} is too small, at least {spec.minimum:g}")
        if spec.maximum is not None and value > spec.maximum:
            return self._refuse(node.mark, at, f"{value} is too large, at most {spec.maximum:g}")
        return value

    def _converted(self, kind: Any, node: Scalar, at: str) -> Any:
        try:
            if kind in FILES:
                return find_file(kind, node.text, self._findings.directory)
            return CONVERTERS[kind](node)
        except MissingFile as error:
            if not self._is_refused:
                self._findings.add(node.mark, at, str(error), Severity.MISSING)
            return node.text
        except BadEntries as error:
            for fault in error.faults:
                self._refuse(node.at(fault.at), at, fault.what)
            return INVALID
        except ValueError as error:
            return self._refuse(node.mark, at, str(error))

    def _choice(self, choices: tuple[str, ...], node: Scalar, at: str) -> object:
        if node.text in choices:
            return node.text
        hint = suggestion(node.text, choices)
        return self._refuse(node.mark, at, f"{node.text!r} is not known, {hint}")

    def _is_sound(self, built: Config, node: Mapping, at: str) -> bool:
        problems = list(built.check())
        if isinstance(built, Kinded):
            made = built.trial()
            what = None if made is None else built.lacks(made)
            problems += [] if what is None else [Problem(what)]
        wants_consent = isinstance(built, Kinded) and built.requires_experimental
        if wants_consent and getattr(built, "experimental", None) is not True:
            problems.append(Problem("is experimental, write `experimental: true` to use it"))
        elif not wants_consent and getattr(built, "experimental", None) is not None:
            problems.append(Problem("is not needed here", "experimental", Severity.WARNING))
        return self._noted(problems, node, at)

    def _noted(self, problems: abc.Iterable[Problem], node: Node, at: str) -> bool:
        """Adds *problems* of *node* to the findings; returns True if none of them is an error."""
        is_sound = True
        for problem in problems:
            name = problem.key or ""
            path = at + name if name.startswith("[") else join(at, name) if name else at
            self._findings.add(locate(node, name), path, problem.what, problem.severity)
            is_sound = is_sound and problem.severity is not Severity.ERROR
        return is_sound

    def _unsupported(self, mark: Mark, at: str, what: str) -> object:
        return INVALID if self._is_refused else self._refuse(mark, at, what)

    def _refuse(self, mark: Mark, at: str, what: str) -> object:
        self._findings.add(mark, at, what)
        return INVALID


def default_of(base: type[K], kind: str) -> K:
    """Returns the configuration of *kind* with no key set."""
    return _class_of(base, kind)()


def _class_of(base: type[K], kind: str) -> type[K]:
    """Returns the class of *kind*. Raises `KindError` if it is not a kind of *base*."""
    found: Any = kinds.find(base.category, kind)
    if isinstance(found, type) and issubclass(found, base):
        return found
    raise kinds.KindError(f"{kind} is defined as {found!r}, which is not a {base.__name__}")


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
