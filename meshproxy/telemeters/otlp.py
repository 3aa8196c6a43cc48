"""io.l5d.otlp: spans for OpenTelemetry collectors, as JSON over HTTP; unknown to Linkerd.

opentelemetry.io: OTLP/HTTP, ExportTraceServiceRequest in the JSON mapping of Protocol Buffers.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from meshproxy import __version__
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.http.trace import Span
from meshproxy.telemeters.spans import SpanExporter, SpanExporterConfig
from meshproxy.telemeters.telemeter import TelemeterDeps

_KINDS: Final = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3}
_ERROR: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpConfig(SpanExporterConfig):
    """Sends spans to an OpenTelemetry collector, as JSON over HTTP; an addition of meshproxy."""

    kind: ClassVar[str] = "io.l5d.otlp"
    in_workers: ClassVar[bool] = True
    endpoint: str = key(
        default="http://localhost:4318/v1/traces", doc="The http URL to POST spans to."
    )

    def check(self) -> Iterable[Problem]:
        """Yields a problem if the endpoint is not an http URL."""
        try:
            parts = urlsplit(self.endpoint)
            is_sound = parts.scheme in {"http", "https"} and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            is_sound = False
        if not is_sound:
            what = f"{self.endpoint!r} is not a URL such as http://localhost:4318/v1/traces"
            yield Problem(what, "endpoint")

    def build(self, deps: TelemeterDeps) -> SpanExporter:
        """Returns the exporter."""
        return SpanExporter("otlp", self.endpoint, self, encode, deps.metrics)


def encode(spans: Sequence[Span]) -> bytes:
    """Returns *spans* as an ExportTraceServiceRequest, a resource for each router."""
    by_router = groupby(sorted(spans, key=attrgetter("service")), attrgetter("service"))
    resources = [
        {
            "resource": {"attributes": _attributes({"service.name": router})},
            "scopeSpans": [
                {
                    "scope": {"name": "meshproxy", "version": __version__},
                    "spans": [_plain(span) for span in own],
                }
            ],
        }
        for router, own in by_router
    ]
    return json.dumps({"resourceSpans": resources}).encode("ascii")


def _plain(span: Span) -> dict[str, Any]:
    ids = span.id
    plain: dict[str, Any] = {
        "traceId": f"{ids.high:016x}{ids.trace:016x}",
        "spanId": f"{ids.span:016x}",
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.started_us * 1000),
        "endTimeUnixNano": str((span.started_us + span.duration_us) * 1000),
        "attributes": _attributes(_named(span)),
        "status": {"code": _ERROR} if "error" in span.tags else {},
    }
    if ids.parent and ids.parent != ids.span:
        plain["parentSpanId"] = f"{ids.parent:016x}"
    if span.events:
        plain["events"] = [
            {"timeUnixNano": str(at * 1000), "name": what} for at, what in span.events
        ]
    return plain


def _named(span: Span) -> dict[str, str]:
    """Returns the tags, with addresses under the names of OpenTelemetry's conventions."""
    peer = "client.address" if span.kind == "SERVER" else "server.address"
    return {**span.tags, **({peer: span.remote} if span.remote else {})}


def _attributes(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": name, "value": {"stringValue": value}} for name, value in tags.items()]
