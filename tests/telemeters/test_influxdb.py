"""The line protocol, also as another implementation reads it."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from line_protocol_parser import parse_line

from meshproxy.metrics.tree import Tree
from meshproxy.telemeters.influxdb import InfluxDbConfig, escaped, line, render
from meshproxy.telemeters.telemeter import TelemeterDeps


def test_a_scope_is_a_line_with_sorted_tags_and_fields() -> None:
    tree = Tree()
    client = tree.scope("rt", "out", "client", "$/inet/127.0.0.1/80")
    client.counter("success").value = 2
    client.gauge("pending").value = 0.5
    client.scope("service", "svc/web").counter("requests").value = 3
    client.counter("failures", "connect").value = 1
    tree.gauge("up").value = 1
    assert render(tree, "proxy:9990").splitlines() == [
        "root,host=proxy:9990 up=1",
        "rt:client,client=$/inet/127.0.0.1/80,host=proxy:9990,rt=out pending=0.5,success=2",
        (
            "rt:client:service,client=$/inet/127.0.0.1/80,host=proxy:9990,rt=out,service=svc/web "
            "requests=3"
        ),
        "rt:client:failures,client=$/inet/127.0.0.1/80,host=proxy:9990,rt=out connect=1",
    ]


def test_totals_of_a_histogram_are_there_at_once_and_the_rest_when_the_interval_ends() -> None:
    tree = Tree()
    stat = tree.stat("rt", "a", "ms")
    assert render(tree, "") == ""
    stat.add(10)
    assert render(tree, "") == "rt,host=none,rt=a ms_count=1,ms_sum=10\n"
    stat.add(30)
    stat.snapshot()
    assert render(tree, "") == (
        "rt,host=none,rt=a ms_avg=20.0,ms_count=2,ms_max=30,ms_min=10,ms_p50=10,ms_p90=30,"
        "ms_p95=30,ms_p99=30,ms_p999=30,ms_p9999=30,ms_sum=40\n"
    )


def test_what_is_no_number_has_no_field() -> None:
    tree = Tree()
    tree.gauge("rt", "a", "budget").value = inf
    assert render(tree, "") == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b", r"a\ b"),
        ("a,b=c", r"a\,b\=c"),
        ("a\nb\r", "a_b_"),
        ("\\", "_"),
        ("a\\,b", r"a_\,b"),
        (r"a\x2fb", r"a\x2fb"),
        ("a\udc80b", "a_b"),
        ("", "_"),
    ],
)
def test_what_would_end_a_tag_is_quoted_or_replaced(text: str, shown: str) -> None:
    assert escaped(text) == shown


@given(router=st.text(), client=st.text(), host=st.text(), fields=st.sets(st.text(), min_size=1))
def test_another_implementation_reads_every_line(
    router: str, client: str, host: str, fields: set[str]
) -> None:
    readings = {name: float(number) for number, name in enumerate(sorted(fields))}
    shown = line(("rt", router, "client", client), host, readings)
    assert shown.count("\n") == 1
    assert len(shown.encode().splitlines()) == 1
    found = parse_line(shown.encode().decode())
    assert found["measurement"] == "rt:client"
    assert found["tags"].keys() <= {"rt", "client", "host"}
    assert found["tags"].get("client", "") == _bare(client)
    assert found["fields"].keys() == {_bare(name) or "_" for name in fields}


def _bare(text: str) -> str:
    """Return what a reader makes of the quoted *text*."""
    shown = escaped(text) if text else ""
    return shown.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")


def test_the_page_says_which_host_was_asked() -> None:
    tree = Tree()
    tree.counter("rt", "a", "b").value = 1
    telemeter = InfluxDbConfig().build(TelemeterDeps(tree))
    ((path, page),) = telemeter.pages().items()
    assert path == "/admin/metrics/influxdb"
    assert page("mesh.local:9990") == (
        "text/plain; charset=utf-8",
        b"rt,host=mesh.local:9990,rt=a b=1\n",
    )
