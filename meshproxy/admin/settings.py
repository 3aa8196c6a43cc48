"""The settings that apply to a client or a service, each with the prefix that gave it."""

from collections.abc import Iterable, Mapping
from typing import Any

from meshproxy.config.client import ClientSettings
from meshproxy.config.routers import RouterConfig
from meshproxy.config.shown import to_json
from meshproxy.config.svc import SvcSettings
from meshproxy.errors import TlsFailed
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path
from meshproxy.router.policy import client_policy

Setting = Mapping[str, Any]
_NOT_SETTINGS = frozenset({"kind", "prefix"})


def settings_of(
    rules: Iterable[tuple[PathMatcher, ClientSettings | SvcSettings]], name: Path
) -> list[Setting]:
    """Returns the keys that *rules* set for *name*, of which later rules win; secrets left out."""
    found: dict[str, Setting] = {}
    for matcher, settings in rules:
        if matcher.match(name) is not None:
            for key, value in to_json(settings, for_people=True).items():
                if key not in _NOT_SETTINGS:
                    found[key] = {"key": key, "value": value, "prefix": matcher.text or "/"}
    return list(found.values())


def client_of(config: RouterConfig, bound_id: Path) -> dict[str, Any]:
    """Returns how a client of *bound_id* reaches its endpoints."""
    shown: dict[str, Any] = {"settings": settings_of(config.client.rules, bound_id)}
    try:
        policy = client_policy(config.client, bound_id)
    except TlsFailed as error:
        return {**shown, "error": str(error)}
    tls = policy.tls
    return {
        **shown,
        "balancer": policy.balancer.kind,
        "breaker": policy.accrual.kind,
        "tls": None if tls is None else {"name": policy.server_name, "verified": tls.verify},
    }
