"""io.l5d.zipkin: spans for Zipkin, as JSON over HTTP (zipkin.io/zipkin-api, POST /api/v2/spans).

Linkerd uses Scribe, which current collectors no longer accept.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from meshproxy.config.errors import Problem, Severity
from meshproxy.config.model import key
from meshproxy.config.scalars import Port
from meshproxy.http.trace import Span
from meshproxy.http.trace_id import DEBUG
from meshproxy.telemeters.spans import SpanExporter, SpanExporterConfig
from meshproxy.telemeters.telemeter import TelemeterDeps

_SCRIBE: Final = 9410


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipkinConfig(SpanExporterConfig):
    """Sends spans to a Zipkin collector, as JSON over HTTP."""

    kind: ClassVar[str] = "io.l5d.zipkin"
    in_workers: ClassVar[bool] = True
    host: str = key(default="localhost", doc="The collector.")
    port: Port = key(default=Port(9411), minimum=1, doc="Its HTTP port.")

    def check(self) -> Iterable[Problem]:
        """Yields a warning for port 9410, which is for another protocol."""
        if self.port == _SCRIBE:
            what = "9410 is Zipkin's port for Scribe, but spans are sent over HTTP; use port 9411"
            yield Problem(what, "port", Severity.WARNING)

    def build(self, deps: TelemeterDeps) -> SpanExporter:
        """Returns the exporter."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        url = f"http://{host}:{self.port}/api/v2/spans"
        return SpanExporter("zipkin", url, self, encode, deps.metrics)


def encode(spans: Sequence[Span]) -> bytes:
    """Returns *spans* in the form of Zipkin's version 2."""
    return json.dumps([_plain(span) for span in spans]).encode("ascii")


def _plain(span: Span) -> dict[str, Any]:
    ids = span.id
    plain: dict[str, Any] = {
        "traceId": f"{ids.high:016x}{ids.trace:016x}" if ids.high else f"{ids.trace:016x}",
        "id": f"{ids.span:016x}",
        "name": span.name.lower(),
        "timestamp": span.started_us,
        "duration": span.duration_us,
        "localEndpoint": {"serviceName": span.service, **_endpoint(span.local)},
        "tags": span.tags,
    }
    if ids.parent and ids.parent != ids.span:
        plain["parentId"] = f"{ids.parent:016x}"
    if span.kind != "INTERNAL":  # Zipkin has no name for it
        plain["kind"] = span.kind
    if span.remote:
        plain["remoteEndpoint"] = _endpoint(span.remote)
    if span.events:
        plain["annotations"] = [{"timestamp": at, "value": what} for at, what in span.events]
    if ids.flags & DEBUG:
        plain["debug"] = True
    return plain


def _endpoint(address: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return {}
    family = "ipv6" if host.startswith("[") else "ipv4"
    return {family: host.strip("[]"), "port": int(port)}
