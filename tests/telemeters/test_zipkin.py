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
from tests.kit.spans import span

TEXTS = st.dictionaries(st.text(), st.text())
OWN = st.dictionaries(st.sampled_from(["http.uri", "http.rsp.content-length"]), st.text())


def client_span() -> Span:
    return span(
        TraceId(0xA1, 0xB2, 0xC3, 6, 0xD4),
        "CLIENT",
        service="outgoing",
        at_us=1_700_000_000_000_000,
        duration_us=1500,
        local="10.0.0.1:4140",
        remote="[::1]:80",
        tags={"http.rsp.status": "200"},
        events=[(1_700_000_000_000_700, "response head")],
    )


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


def test_spans_of_several_traces_are_each_shown_with_their_ids() -> None:
    ids = [TraceId(7, 7, 7), TraceId(8, 7, 7), TraceId(9, 8, 7), TraceId(7, 5, 9), TraceId(9, 7, 9)]
    shown = json.loads(encode([span(one) for one in ids]))
    assert [
        tuple(int(one.get(key, "0"), 16) for key in ("traceId", "id", "parentId")) for one in shown
    ] == [(7, 7, 0), (7, 8, 7), (7, 9, 8), (9, 7, 5), (9, 9, 7)]


def test_a_root_has_no_parent_and_a_debug_trace_says_so() -> None:
    root = span(TraceId(7, 7, 7, 1), name="POST")
    (plain,) = json.loads(encode([root]))
    assert "parentId" not in plain
    assert (plain["traceId"], plain["debug"]) == ("0000000000000007", True)


@pytest.mark.parametrize(("text", "warned"), [("port: 9410", True), ("{}", False)])
def test_the_port_of_scribe_is_warned_of(text: str, *, warned: bool) -> None:
    findings = Findings("f")
    assert decode(ZipkinConfig, parse(text, findings), findings) is not None
    assert any("9411" in str(one) for one in findings.found) is warned


@given(TEXTS, OWN, st.text(), st.text(), st.text())
def test_any_text_is_told_as_it_is(
    tags: dict[str, str], own: dict[str, str], name: str, service: str, what: str
) -> None:
    made = span(
        TraceId(1, 2, 3),
        "CLIENT",
        name,
        service,
        remote=f"[{what}]:80",
        tags=tags,
        own_tags={each: own[each] for each in own if each not in tags},
        events=[(7, what)],
    )
    (found,) = json.loads(encode([made]))
    assert (found["tags"], found["name"]) == ({**own, **tags}, name.lower())
    assert found["localEndpoint"] == {"serviceName": service}
    assert found["annotations"] == [{"timestamp": 7, "value": what}]
    assert found["remoteEndpoint"] == {"ipv6": what.strip("[]"), "port": 80}
