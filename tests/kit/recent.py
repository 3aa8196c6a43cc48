"""Requests that have ended."""

from typing import Any

from meshproxy.recent.request import RecentRequest

_FACTS: dict[str, Any] = {
    "ended_at": 0.25,
    "router": "outgoing",
    "server": "0.0.0.0/4140",
    "source": "10.0.0.1:5000",
    "method": "GET",
    "host": "web",
    "path": "/a",
    "status": 200,
    "latency_ms": 10.0,
    "body_ms": 0.0,
    "reason": "",
    "why": "",
    "logical": "/svc/web",
    "bound": "/#/io.l5d.fs/web",
    "endpoint": "127.0.0.1:80",
    "egress": "",
    "trace": "00000000000000ab",
    "phases": {},
    "earlier": [],
}


def ended(**known: object) -> RecentRequest:
    """Return a request of which this is *known*."""
    return RecentRequest(**{**_FACTS, **known})
