"""Spans as Zipkin's version 2 has them (zipkin.io/zipkin-api/zipkin2-api.yaml)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.http.trace import Span
from meshproxy.http.trace_id import TraceId
from meshproxy.telemeters.zipkin import ZipkinConfig, encode


def client_span() -> Span:
    span = Span(
        TraceId(0xA1, 0xB2, 0xC3, 6, 0xD4), "CLIENT", "GET", "outgoing", 1_700_000_000_000_000
    )
    span.duration_us = 1500
    span.local, span.remote = "10.0.0.1:4140", "[::1]:80"
    span.tags["http.rsp.status"] = "200"
    span.events.append((1_700_000_000_000_700, "response head"))
    return span


def test_a_span_has_every_field_in_its_form() -> None:
    assert json.loads(encode([client_span()])) == [
        {
            "traceId": "00000000000000d400000000000000c3",
            "id": "00000000000000a1",
            "parentId": "00000000000000b2",
            "kind": "CLIENT",
            "name": "get",
            "timestamp": 1_700_000_000_000_000,
            "duration": 1500,
            "localEndpoint": {"serviceName": "outgoing", "ipv4": "10.0.0.1", "port": 4140},
            "remoteEndpoint": {"ipv6": "::1", "port": 80},
            "tags": {"http.rsp.status": "200"},
            "annotations": [{"timestamp": 1_700_000_000_000_700, "value": "response head"}],
        }
    ]


def test_a_root_has_no_parent_and_a_debug_trace_says_so() -> None:
    root = Span(TraceId(7, 7, 7, 1), "SERVER", "POST", "in", 1)
    (plain,) = json.loads(encode([root]))
    assert "parentId" not in plain
    assert (plain["traceId"], plain["debug"]) == ("0000000000000007", True)


@pytest.mark.parametrize(("text", "warned"), [("port: 9410", True), ("{}", False)])
def test_the_port_of_scribe_is_warned_of(text: str, *, warned: bool) -> None:
    findings = Findings("f")
    assert decode(ZipkinConfig, parse(text, findings), findings) is not None
    assert any("9411" in str(one) for one in findings.found) is warned


@given(st.dictionaries(st.text(), st.text()), st.text(), st.text(), st.text())
def test_any_text_is_told_as_it_is(
    tags: dict[str, str], name: str, service: str, what: str
) -> None:
    one = Span(TraceId(1, 2, 3), "CLIENT", name, service, 5)
    one.tags, one.events, one.remote = tags, [(7, what)], f"[{what}]:80"
    (found,) = json.loads(encode([one]))
    assert (found["tags"], found["name"]) == (tags, name.lower())
    assert found["localEndpoint"] == {"serviceName": service}
    assert found["annotations"] == [{"timestamp": 7, "value": what}]
    assert found["remoteEndpoint"] == {"ipv6": what.strip("[]"), "port": 80}
