"""Writes conf/dashboards from the list of panels: `python -m tests.demo.dashboards`."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.demo.panels import Panel, rows

DIRECTORY = Path(__file__).parent.parent.parent / "conf" / "dashboards"
_WIDTH, _HEIGHT = 8, 8
"""Of a panel, in Grafana's grid of 24 columns."""
_GRAPH = {"width": 440, "height": 270}
_PER_LINE = 24 // _WIDTH


def files() -> dict[str, str]:
    """Return the text of each file by its name."""
    made = {
        "grafana-prometheus.json": grafana("prometheus"),
        "grafana-graphite.json": grafana("graphite"),
        "graphite.json": graphite(),
    }
    return {name: json.dumps(one, indent=1) + "\n" for name, one in made.items()}


def grafana(source: str) -> dict[str, Any]:
    """Return the dashboard that Grafana imports, for a data source of the kind *source*."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in rows():
        place = {"x": 0, "y": y, "w": 24, "h": 1}
        panels.append({"type": "row", "title": row.title, "collapsed": False, "gridPos": place})
        for number, panel in enumerate(row.panels):
            x, line = number % _PER_LINE, number // _PER_LINE
            place = {"x": x * _WIDTH, "y": y + 1 + line * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            panels.append(_panel(panel, source) | {"gridPos": place})
        y += 1 + -(-len(row.panels) // _PER_LINE) * _HEIGHT
    for number, one in enumerate(panels, 1):
        one["id"] = number
    return {
        "title": f"meshproxy ({source})",
        "uid": f"meshproxy-{source}",
        "tags": ["meshproxy"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables(source)},
        "panels": panels,
    }


def _variables(source: str) -> list[dict[str, Any]]:
    chosen: list[dict[str, Any]] = [
        {"name": "source", "label": "Source", "type": "datasource", "query": source}
    ]
    if source == "prometheus":
        chosen.append(
            {
                "name": "router",
                "label": "Router",
                "type": "query",
                "datasource": {"type": source, "uid": "${source}"},
                "query": "label_values(rt:server:requests, rt)",
                "includeAll": True,
                "allValue": ".*",
                "multi": True,
                "refresh": 2,
                "current": {"text": "All", "value": "$__all"},
            }
        )
    return chosen


def _panel(panel: Panel, source: str) -> dict[str, Any]:
    uid = {"type": source, "uid": "${source}"}
    if source == "prometheus":
        targets = [{"expr": expr, "legendFormat": legend} for expr, legend in panel.prometheus]
    else:
        targets = [{"target": target} for target in panel.graphite]
    limits = {"min": 0} | ({"max": 100} if "rate" in panel.title else {})
    return {
        "type": "timeseries",
        "title": panel.title,
        "datasource": uid,
        "fieldConfig": {"defaults": {"unit": panel.unit, **limits}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": uid, **target}
            for number, target in enumerate(targets)
        ],
    }


def graphite() -> dict[str, Any]:
    """Return the dashboard that graphite-web keeps."""
    graphs = []
    for panel in (panel for row in rows() for panel in row.panels):
        limits = {"yMin": 0} | ({"yMax": 100} if "rate" in panel.title else {})
        parameters = {"title": panel.title, "target": list(panel.graphite), **limits}
        query = urlencode([("target", one) for one in panel.graphite])
        shown = urlencode({"title": panel.title, **_GRAPH, **limits, "from": "-1hours"})
        graphs.append([query, parameters, f"/render?{query}&{shown}"])
    return {
        "name": "meshproxy",
        "graphs": graphs,
        "graphSize": _GRAPH,
        "defaultGraphParams": {**_GRAPH, "from": "-1hours", "until": "now"},
        "refreshConfig": {"enabled": True, "interval": 10000},
        "timeConfig": {
            "type": "relative",
            "relativeStartUnits": "hours",
            "relativeStartQuantity": "1",
            "relativeUntilUnits": "now",
            "relativeUntilQuantity": "",
            "startDate": "2000-01-01T00:00:00",
            "endDate": "2000-01-01T00:00:00",
            "startTime": "9:00 AM",
            "endTime": "5:00 PM",
        },
    }


if __name__ == "__main__":
    for name, text in files().items():
        (DIRECTORY / name).write_text(text)
