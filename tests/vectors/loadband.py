"""Cases about the width of an aperture."""

from collections.abc import Callable, Mapping
from typing import Any

from meshproxy.balancers.load_band import LoadBand
from tests.vectors.traffic import Clock, Given, Outcome, check


def loadband_trace(given: Given) -> dict[str, Any]:
    """The load band's state after each request that began or ended."""
    clock = Clock(0)
    low, high, window_s = given["low_load"], given["high_load"], given["smooth_window_ms"] / 1000
    band = LoadBand(low, high, window_s, given["min_aperture"], clock)
    band.width = given.get("initial_aperture", 1)
    band.resize(given["endpoints"], 0)
    after = []
    for event in given["events"]:
        clock.ns = event["at_ns"]
        band.change(event["delta"])
        row = {"total": band.total, "ema": band.ema, "aperture": band.width}
        after.append({"at_ns": clock.ns, **row})
    return {"after": after}


KINDS: Mapping[str, Callable[[Given], Outcome]] = {loadband_trace.__name__: check(loadband_trace)}
