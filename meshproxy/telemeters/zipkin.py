"""io.l5d.zipkin: spans for Zipkin, as JSON over HTTP (zipkin.io/zipkin-api, POST /api/v2/spans).

Linkerd uses Scribe, which current collectors no longer accept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import ClassVar, Final

from meshproxy.config.errors import Problem, Severity
from meshproxy.config.model import key
from meshproxy.config.scalars import Port
from meshproxy.http.trace import Span, SpanFacts
from meshproxy.http.trace_id import DEBUG
from meshproxy.telemeters.spans import SpanExporter, SpanExporterConfig, Texts
from meshproxy.telemeters.telemeter import TelemeterDeps

_SCRIBE: Final = 9410
_SPAN: Final = '{"traceId":"%s%s","id":"%s","timestamp":%d,"duration":%d,%s%s}%s'
"""A span up to the end of its tags, and the rest; formatting it takes fewer bytecodes than an
f-string of as many parts."""


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
    """Returns *spans* in the form of Zipkin's version 2.

    The text is put together here, of parts that recur: that takes a fraction of the time of
    building objects for `json.dumps`.
    """
    texts: list[str] = []
    shown_trace, trace_id = -1, ""
    for span in spans:
        own, parent, trace, flags, high = span.id
        if trace != shown_trace:  # most spans follow one of the same trace
            shown_trace, trace_id = trace, f"{trace:016x}"
        tags = ""
        for name, value in span.own_tags.items():
            tags += f',"{name}":{_quoted(value)}'
        ending = _remote(span.remote) if span.remote else "}"
        if parent and parent != own:
            parent_id = trace_id if parent == trace else f"{parent:016x}"
            ending = f',"parentId":"{parent_id}"{ending}'
        if span.events or flags & DEBUG:
            ending = _rare(span) + ending
        facts = span.facts
        texts.append(
            _SPAN
            % (
                f"{high:016x}" if high else "",
                trace_id,
                trace_id if own == trace else f"{own:016x}",
                span.started_us,
                span.duration_us,
                _texts[facts],
                tags if facts.tags else tags[1:],
                ending,
            )
        )
    return f"[{','.join(texts)}]".encode("ascii")


def _rare(span: Span) -> str:
    """Returns the members that few spans have, each after a comma."""
    shown = ',"debug":true' if span.id.flags & DEBUG else ""
    if span.events:
        events = [f'{{"timestamp":{at},"value":{_quoted(what)}}}' for at, what in span.events]
        shown += f',"annotations":[{",".join(events)}]'
    return shown


def _text(facts: SpanFacts) -> str:
    """Returns the members that *facts* decide; the last one, `tags`, is not closed yet."""
    kind = f'"kind":"{facts.kind}",' if facts.kind != "INTERNAL" else ""  # it has no name for that
    tags = ",".join([f"{_quoted(name)}:{_quoted(value)}" for name, value in facts.tags.items()])
    return (
        f'{kind}"name":{_quoted(facts.name.lower())},"localEndpoint":{{"serviceName":'
        f'{_quoted(facts.service)}{_endpoint(",", facts.local)}}},"tags":{{{tags}'
    )


_texts = Texts(_text)


@lru_cache(1024)
def _remote(address: str) -> str:
    """Returns the last member of a span, and its end."""
    return f',"remoteEndpoint":{{{_endpoint("", address)}}}}}'


def _endpoint(comma: str, address: str) -> str:
    """Returns the members for *address*, after *comma*; nothing if it is none."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return ""
    family = "ipv6" if host.startswith("[") else "ipv4"
    return f'{comma}"{family}":{_quoted(host.strip("[]"))},"port":{int(port)}'
