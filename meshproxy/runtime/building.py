"""Builds what a configuration names; what goes wrong becomes an error with its place."""

from typing import Any

from meshproxy.config.model import Kinded
from meshproxy.errors import ProxyError


class CannotStart(Exception):
    """Something outside the configuration is in the way: a port, a certificate, a variable."""


def build(config: Kinded, where: str, deps: object) -> Any:
    """Returns what *config*, which stands at the path *where* of the file, builds from *deps*.

    Raises CannotStart, also when a plugin fails or its product lacks what its category offers.
    """
    try:
        built = config.build(deps)  # type: ignore[attr-defined] # each base declares its own
    except (ValueError, ProxyError) as error:
        raise CannotStart(f"{where}: {error}") from error
    except CannotStart:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise CannotStart(f"{where}: {config.kind} cannot be built: {what}") from error
    missing = config.lacks(built)
    if missing is not None:
        raise CannotStart(f"{where}: {missing}")
    return built
