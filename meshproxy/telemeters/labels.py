"""Where a metric stands, as a name and labels: router, service, client, server and exception.

linkerd: telemetry/prometheus/.../PrometheusTelemeter.scala, telemetry/influxdb/...
"""

import re
from typing import Final

from meshproxy.metrics.tree import Scope

Labels = dict[str, str]
_OBJECTS: Final = ("service", "client", "server")
_EXCEPTIONS: Final = {"failures": "failures", "exn": "exceptions"}
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9:]")


def placed(scope: Scope, *, exceptions: bool = True) -> tuple[str, Labels]:
    """Returns the name and the labels for *scope*; with *exceptions*, errors are labels too.

    A name is of ASCII letters, digits, `_` and `:`. The values of labels may hold anything.
    """
    path: list[str] = []
    labels: Labels = {}
    for element in scope:
        path.append(element)
        match path:
            case ["rt", router] if "rt" not in labels:
                labels["rt"] = router
            case ["rt", kind, named] if kind in _OBJECTS and kind not in labels:
                labels[kind] = named
            case ["rt", "client", ("service" | "endpoint") as kind, named] if kind not in labels:
                labels[kind] = named
            case ["rt", kind, ("failures" | "exn") as group, error] if (
                exceptions and kind in _OBJECTS
            ):
                path[2] = _EXCEPTIONS[group]
                known = labels.get("exception")
                labels["exception"] = error if known is None else f"{known}:{error}"
            case ["rt", kind, "exceptions", error] if kind in _OBJECTS and "exception" in labels:
                labels["exception"] += f":{error}"
            case _:
                continue
        path.pop()
    return _UNSAFE.sub("_", ":".join(path)), labels
