"""io.l5d.otlp: spans for OpenTelemetry collectors, as JSON over HTTP; unknown to Linkerd.

opentelemetry.io: OTLP/HTTP, ExportTraceServiceRequest in the JSON mapping of Protocol Buffers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from json.encoder import encode_basestring_ascii as _quoted
from operator import attrgetter
from struct import Struct
from typing import ClassVar, Final
from urllib.parse import urlsplit

from meshproxy import __version__
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.http.trace import Span, SpanFacts
from meshproxy.telemeters.spans import SpanExporter, SpanExporterConfig, Texts
from meshproxy.telemeters.telemeter import TelemeterDeps

_KINDS: Final = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3}
_ERROR: Final = 2
_ids = Struct(">QQQQ").pack
_router: Final = attrgetter("facts.service")
_SCOPE: Final = f'{{"name":"meshproxy","version":{_quoted(__version__)}}}'


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
    """Returns *spans* as an ExportTraceServiceRequest, a resource for each router.

    The text is put together here, of parts that recur: that takes a fraction of the time of
    building objects for `json.dumps`.
    """
    by_router = groupby(sorted(spans, key=_router), _router)
    resources = [
        f'{{"resource":{{"attributes":[{_attribute("service.name", router)}]}},'
        f'"scopeSpans":[{{"scope":{_SCOPE},"spans":[{",".join(map(_shown, own))}]}}]}}'
        for router, own in by_router
    ]
    return f'{{"resourceSpans":[{",".join(resources)}]}}'.encode("ascii")


def _shown(span: Span) -> str:
    own, parent, trace, _, high = span.id
    ids = _ids(high, trace, own, parent).hex()
    facts = span.facts
    shown = (
        f'{{"traceId":"{ids[:32]}","spanId":"{ids[32:48]}",'
        f'"startTimeUnixNano":"{span.started_us}000",'
        f'"endTimeUnixNano":"{span.started_us + span.duration_us}000",{_texts[facts]}'
    )
    comma = "," if facts.tags else ""
    for name, value in span.own_tags.items():
        shown += comma + _attribute(name, value)
        comma = ","
    if span.remote:  # under the names of OpenTelemetry's conventions
        shown += comma + _address(facts.kind, span.remote)
    shown += "]"
    if parent and parent != own:
        shown += f',"parentSpanId":"{ids[48:]}"'
    if span.events:
        events = [
            f'{{"timeUnixNano":"{at}000","name":{_quoted(what)}}}' for at, what in span.events
        ]
        shown += f',"events":[{",".join(events)}]'
    return shown + "}"


def _text(facts: SpanFacts) -> str:
    """Returns the members that *facts* decide; the last one, `attributes`, is not closed yet."""
    status = f'"status":{{"code":{_ERROR}}},' if "error" in facts.tags else ""
    attributes = ",".join([_attribute(name, value) for name, value in facts.tags.items()])
    return (
        f'"name":{_quoted(facts.name)},"kind":{_KINDS[facts.kind]},{status}'
        f'"attributes":[{attributes}'
    )


_texts = Texts(_text)


@lru_cache(1024)
def _address(kind: str, address: str) -> str:
    return _attribute("client.address" if kind == "SERVER" else "server.address", address)


def _attribute(name: str, value: str) -> str:
    return f'{{"key":{_quoted(name)},"value":{{"stringValue":{_quoted(value)}}}}}'
