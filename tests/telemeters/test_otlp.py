"""Spans as OTLP/HTTP has them in JSON (opentelemetry-proto: trace/v1/trace.proto)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.http.trace import Span
from meshproxy.http.trace_id import TraceId
from meshproxy.telemeters.otlp import OtlpConfig, encode
from tests.kit.spans import span

TEXTS = st.dictionaries(st.text(), st.text())


def failed(service: str = "outgoing") -> Span:
    return span(
        TraceId(0xA1, 0xB2, 0xC3, 6),
        "CLIENT",
        service=service,
        at_us=1_000,
        duration_us=20,
        remote="10.0.0.1:80",
        tags={"error": "connect"},
        events=[(1_010, "finagle.retry")],
    )


def test_a_span_has_every_field_in_its_form() -> None:
    (resource,) = json.loads(encode([failed()]))["resourceSpans"]
    assert resource["resource"]["attributes"] == [
        {"key": "service.name", "value": {"stringValue": "outgoing"}}
    ]
    (scope,) = resource["scopeSpans"]
    assert scope["scope"]["name"] == "meshproxy"
    assert scope["spans"] == [
        {
            "traceId": "000000000000000000000000000000c3",
            "spanId": "00000000000000a1",
            "parentSpanId": "00000000000000b2",
            "name": "GET",
            "kind": 3,
            "startTimeUnixNano": "1000000",
            "endTimeUnixNano": "1020000",
            "attributes": [
                {"key": "error", "value": {"stringValue": "connect"}},
                {"key": "server.address", "value": {"stringValue": "10.0.0.1:80"}},
            ],
            "status": {"code": 2},
            "events": [{"timeUnixNano": "1010000", "name": "finagle.retry"}],
        }
    ]


def test_each_router_is_a_resource() -> None:
    resources = json.loads(encode([failed("a"), failed("b"), failed("a")]))["resourceSpans"]
    assert [len(one["scopeSpans"][0]["spans"]) for one in resources] == [2, 1]


@pytest.mark.parametrize(
    "text", ["endpoint: ftp://a/", "endpoint: localhost:4318", "endpoint: 'http://a:x/'"]
)
def test_an_endpoint_that_cannot_be_posted_to_is_refused(text: str) -> None:
    findings = Findings("f")
    assert decode(OtlpConfig, parse(text, findings), findings) is None
    assert "is not a URL" in str(findings.found[0])


@given(TEXTS, TEXTS, st.text(), st.text(), st.text())
def test_any_text_is_told_as_it_is(
    tags: dict[str, str], own: dict[str, str], name: str, service: str, what: str
) -> None:
    own = {each: own[each] for each in own if each not in tags}
    made = span(
        TraceId(1, 2, 3), "INTERNAL", name, service, tags=tags, own_tags=own, events=[(7, what)]
    )
    (resource,) = json.loads(encode([made]))["resourceSpans"]
    assert resource["resource"]["attributes"][0]["value"] == {"stringValue": service}
    (found,) = resource["scopeSpans"][0]["spans"]
    told = {each["key"]: each["value"]["stringValue"] for each in found["attributes"]}
    assert (told, found["name"], found["kind"]) == ({**tags, **own}, name, 1)
    assert found["events"] == [{"timeUnixNano": "7000", "name": what}]
