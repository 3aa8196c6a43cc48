"""A configuration as JSON, for `/config.json` of the admin server, without unset keys.

Follows linkerd: linkerd/admin/.../ConfigHandler (the parsed file, written back).
"""

from typing import Any

from meshproxy.config.model import Config, Kinded, keys_of
from meshproxy.egress.entries import Item
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path


def to_json(config: Config) -> dict[str, Any]:
    """Returns the keys that differ from their defaults; dtabs and paths in canonical form."""
    shown: dict[str, Any] = {}
    if isinstance(config, Kinded):
        shown[config.kind_key] = config.kind
    for spec in keys_of(type(config)):
        value = getattr(config, spec.field)
        if value != spec.default:
            shown[spec.name] = _shown(value)
    return shown


def _shown(value: Any) -> Any:
    if isinstance(value, Config):
        return to_json(value)
    if isinstance(value, Path | Dtab):
        return value.show()
    if isinstance(value, PathMatcher):
        return value.text
    if isinstance(value, Item):
        return value.text
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    return value
