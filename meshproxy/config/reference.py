"""Renders docs/config.md from the classes: `python -m meshproxy.config.reference`."""

import re
import sys
import types
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from typing import Any, Literal, Union, get_args, get_origin

from meshproxy.config import kinds
from meshproxy.config.model import Config, Key, Kinded, keys_of
from meshproxy.config.scalars import TYPE_NAMES
from meshproxy.config.schema import LinkerConfig

_INTRODUCTION = """\
# Configuration

This page is made from the code: `python -m meshproxy.config.reference > docs/config.md`.

The file is YAML, or JSON if it begins with `{`; a Kubernetes ConfigMap that holds it under
`config.yaml` is read too. An unknown key, a duplicate key and a value of the wrong type are errors,
and so is a second document. A number must not be in quotes. A key without a value counts as unset.

A *file* or *directory* that does not begin with `/` is looked up in the directory of the
configuration file and then in the working directory of the process; `~` is the home directory. If
it does not exist, that is an error. For a configuration from standard input, only the working
directory is used.

**req** marks a required key, **+** a key that meshproxy adds to Linkerd's, *http* and *h2* keys
that only routers, servers and clients of that protocol have.
*Not yet* marks what Linkerd has and meshproxy refuses so far.
"""


def render() -> str:
    """Returns the whole page."""
    parts = [_INTRODUCTION]
    queue: list[type[Config]] = [LinkerConfig]
    done: set[type[Config]] = set()
    while queue:
        cls = queue.pop(0)
        if cls in done:
            continue
        done.add(cls)
        if issubclass(cls, Kinded) and not hasattr(cls, "kind"):
            parts.extend(_category(cls, queue))
        else:
            parts.append(_section(cls, f"## {title(cls)}"))
            queue.extend(_nested(cls))
    return "\n".join(parts)


def title(cls: type[Config]) -> str:
    """Returns the title of a class on the page: `ServerTlsConfig` is `Server tls`."""
    words = re.findall(r"[A-Z][a-z0-9]*", cls.__name__.removesuffix("Config"))
    return " ".join(words).capitalize()


def _category(base: type[Kinded], queue: list[type[Config]]) -> Iterator[str]:
    choice = f"Chosen by `{base.kind_key}`."
    if base.default_kind:
        choice += f" `{base.default_kind}` when it is not written."
    yield f"## {title(base)}\n\n{cleandoc(base.__doc__ or '')} {choice}\n"
    shared = keys_of(base)
    if shared:
        yield "\n".join(["Keys of every kind:", "", *_table(shared)])
    queue.extend(_nested(base))
    for kind in kinds.built(base.category):
        cls = kinds.find(base.category, kind)
        yield _section(cls, f"### `{kind}`", shared)
        queue.extend(_nested(cls))
    missing = [
        kind for kind in kinds.known(base.category) if kind not in kinds.built(base.category)
    ]
    if missing:
        yield f"*Not yet*: {', '.join(f'`{kind}`' for kind in missing)}.\n"


def _section(cls: type[Config], heading: str, shared: tuple[Key, ...] = ()) -> str:
    lines = [heading, "", cleandoc(cls.__doc__ or ""), ""]
    if issubclass(cls, Kinded) and cls.requires_experimental:
        lines += ["Needs `experimental: true`.", ""]
    if issubclass(cls, Kinded) and cls.only_for is not None:
        lines += [f"Only for `{cls.only_for}`.", ""]
    own = tuple(spec for spec in keys_of(cls) if spec not in shared)
    return "\n".join([*lines, *_table(own)])


def _table(specs: tuple[Key, ...]) -> list[str]:
    if not specs:
        return []
    head = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    return [*head, *map(_row, specs), ""]


def _row(spec: Key) -> str:
    mark = (" **+**" if spec.added else "") + (f" *{spec.only_for}*" if spec.only_for else "")
    meaning = spec.doc.replace("|", "\\|")
    if spec.unsupported:
        meaning = f"*Not yet.* {meaning}"
    if spec.only:
        written = " or ".join(f"`{_value(one)}`" for one in spec.only)
        meaning = f"{meaning} *Only {written} yet.*"
    default = "**req**" if spec.is_required else _default(spec.default)
    kind = f"one or a {_type(spec.type)}" if spec.one_or_many else _type(spec.type)
    kind = f"file of a {kind}" if spec.in_file else kind
    return f"| `{spec.name}`{mark} | {kind} | {default} | {meaning} |"


def _default(value: object) -> str:
    shown = "" if value is None or isinstance(value, Config) else _value(value)
    return f"`{shown}`" if shown else ""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if hasattr(value, "show"):
        return str(value.show())
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]" if value else ""
    return str(value)


def _type(hint: Any) -> str:
    hint = _bare(hint)
    origin = get_origin(hint)
    if origin is tuple:
        return f"list of {_type(get_args(hint)[0])}"
    if origin is Mapping:
        return f"mapping of names, each to {_type(get_args(hint)[1])}"
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Config):
        name = title(hint)
        return f"[{name}](#{name.lower().replace(' ', '-')})"
    return TYPE_NAMES[hint]


def _nested(cls: type[Config]) -> Iterator[type[Config]]:
    for spec in keys_of(cls):
        hint = _bare(spec.type)
        if get_origin(hint) is tuple:
            hint = _bare(get_args(hint)[0])
        if isinstance(hint, type) and issubclass(hint, Config):
            yield hint


def _bare(hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        return next(arm for arm in get_args(hint) if arm is not type(None))
    return hint


if __name__ == "__main__":
    sys.stdout.write(render())
