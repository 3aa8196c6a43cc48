"""A configuration as JSON, for workers and for `/config.json` of the admin server.

Follows linkerd: linkerd/admin/.../ConfigHandler (the parsed file, written back).
"""

from typing import Any, Final

from meshproxy.config.model import Config, Kinded, keys_of
from meshproxy.egress.entries import Item
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path

HIDDEN: Final = "***"
"""Is shown in place of a secret."""


def to_json(config: Config, *, for_people: bool = False) -> dict[str, Any]:
    """Returns the keys that differ from their defaults; dtabs and paths in canonical form.

    Secrets are left out *for_people*.
    """
    shown: dict[str, Any] = {}
    if isinstance(config, Kinded):
        shown[config.kind_key] = config.kind
    for spec in keys_of(type(config)):
        value = getattr(config, spec.field)
        if value != spec.default:
            is_hidden = for_people and spec.secret
            shown[spec.name] = HIDDEN if is_hidden else _shown(value, for_people=for_people)
    return shown


def _shown(value: Any, *, for_people: bool) -> Any:
    if isinstance(value, Config):
        return to_json(value, for_people=for_people)
    if isinstance(value, Path | Dtab):
        return value.show()
    if isinstance(value, PathMatcher):
        return value.text
    if isinstance(value, Item):
        return value.text
    if isinstance(value, tuple):
        return [_shown(item, for_people=for_people) for item in value]
    return value
