"""`meshproxy explain --all FILE`: which names would go elsewhere under another configuration."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gevent.pool import Pool

from meshproxy.admin.pages import AdminRequest
from meshproxy.cli.printable import printable
from meshproxy.config.schema import LinkerConfig
from meshproxy.naming.path import Path
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.state import BOUND_NAMES

_AT_ONCE: Final = 20
Explain = Callable[[str], Mapping[str, Any]]


def run(names: Sequence[str], before: Explain, after: Explain, *, as_json: bool) -> int:
    """Prints each of *names* that goes elsewhere *after*; 0 if none does, else 1.

    Raises ValueError if one of both cannot tell.
    """
    wanted = sorted(set(names))
    pool = Pool(_AT_ONCE)
    pairs = pool.map(lambda name: (ends_of(before(name)), ends_of(after(name))), wanted)
    changed = [
        {"path": name, "before": old, "after": new}
        for name, (old, new) in zip(wanted, pairs, strict=True)
        if old != new
    ]
    if as_json:
        print(json.dumps({"names": len(wanted), "changed": changed}, indent=2))
    else:
        for one in changed:
            print(printable(f"{one['path']}: {_shown(one['before'])} -> {_shown(one['after'])}"))
        print(f"{len(changed)} of {len(wanted)} names go elsewhere")
    return 1 if changed else 0


def ends_of(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the clients of an explanation with their shares and residuals, in a fixed order."""
    kept = [
        {key: client[key] for key in ("id", "share", "residual")} for client in found["clients"]
    ]
    return sorted(kept, key=lambda one: (one["id"], one["residual"]))


def names_of(config: LinkerConfig, label: str | None) -> list[str]:
    """Returns the names that *config* gives away: those of dtab entries, and those namers list."""
    router = next((one for one in config.routers if label in {None, one.name}), None)
    if router is None:
        return []
    start = router.dst_prefix
    found = set()
    for entry in router.dtab:
        segments = [one for one in entry.prefix if one is not None]
        if len(segments) == len(entry.prefix) > len(start) and Path(segments).starts_with(start):
            found.add(Path(segments).show())
    listed = json.loads(Linker(config).answer(AdminRequest("GET", BOUND_NAMES)).body)
    found |= {(start + Path.parse(name)[-1:]).show() for name in listed}
    return sorted(found)


def _shown(ends: Sequence[Mapping[str, Any]]) -> str:
    parts = [
        (f"{one['share']:.4g} * " if one["share"] != 1 else "")
        + one["id"]
        + (f" with {one['residual']}" if one["residual"] != "/" else "")
        for one in ends
    ]
    return " & ".join(parts) or "nowhere"
