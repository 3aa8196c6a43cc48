"""A configuration on its way from a supervisor to a worker, as a JSON value.

It keeps where the operator wrote the rules of each dtab, which a failure names.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from meshproxy.config.load import read
from meshproxy.config.schema import LinkerConfig
from meshproxy.config.shown import to_json
from meshproxy.naming.dtab import Dtab


def sent(config: LinkerConfig) -> dict[str, Any]:
    """Returns what a supervisor sends of *config*."""
    places = [[entry.place for entry in router.dtab] for router in config.routers]
    return {"config": to_json(config), "places": places}


def received(message: Mapping[str, Any]) -> LinkerConfig:
    """Returns the configuration in *message*, as `sent` makes it. Raises ConfigErrors."""
    config = read(json.dumps(message["config"]), "the configuration of a worker").config
    routers = (
        replace(router, dtab=_placed(router.dtab, places))
        for router, places in zip(config.routers, message["places"], strict=True)
    )
    return replace(config, routers=tuple(routers))


def _placed(dtab: Dtab, places: list[str]) -> Dtab:
    return Dtab(replace(entry, place=place) for entry, place in zip(dtab, places, strict=True))
