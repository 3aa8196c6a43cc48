import platform
from typing import Any

import pytest

from meshproxy import __version__
from meshproxy.metrics.histogram import Summary
from meshproxy.metrics.tree import Tree
from meshproxy.telemeters.prometheus import PrometheusConfig, build_info, lines, render
from meshproxy.telemeters.telemeter import TelemeterDeps

CASES = [
    pytest.param(
        "",
        ("rt", "outgoing", "server", "0.0.0.0/4140", "requests"),
        "counter",
        7,
        'rt:server:requests{rt="outgoing", server="0.0.0.0/4140"} 7',
        id="server",
    ),
    pytest.param(
        "linkerd_",
        ("rt", "outgoing", "client", "$/io.buoyant.rinet/443/linkerd.io", "failures"),
        "counter",
        2,
        'linkerd_rt:client:failures{rt="outgoing", client="$/io.buoyant.rinet/443/linkerd.io"} 2',
        id="client with prefix",
    ),
    pytest.param(
        "",
        ("rt", "out", "client", "$/inet/127.1/8080", "service", "svc/foo", "success"),
        "counter",
        5,
        'rt:client:service:success{rt="out", client="$/inet/127.1/8080", service="svc/foo"} 5',
        id="service under a client",
    ),
    pytest.param(
        "",
        ("rt", "out", "client", "c", "status", "200"),
        "counter",
        9,
        'rt:client:status:200{rt="out", client="c"} 9',
        id="status",
    ),
    pytest.param(
        "",
        ("rt", "out", "client", "c", "failures", "a.B"),
        "counter",
        1,
        'rt:client:failures{rt="out", client="c", exception="a.B"} 1',
        id="exception",
    ),
    pytest.param(
        "",
        ("rt", "out", "service", "svc/foo", "failures", "A", "B"),
        "counter",
        1,
        'rt:service:failures{rt="out", service="svc/foo", exception="A:B"} 1',
        id="nested exception",
    ),
    pytest.param(
        "",
        ("rt", "out", "server", "s", "exn", "A", "B"),
        "counter",
        1,
        'rt:server:exceptions{rt="out", server="s", exception="A:B"} 1',
        id="exn",
    ),
    pytest.param(
        "",
        ("rt", "out", "client", "c", "loadbalancer", "available"),
        "gauge",
        3,
        'rt:client:loadbalancer:available{rt="out", client="c"} 3.0',
        id="gauge",
    ),
    pytest.param(
        "",
        ("rt", "out", "bindcache", "client", "evicts"),
        "counter",
        0,
        'rt:bindcache:client:evicts{rt="out"} 0',
        id="bind cache",
    ),
    pytest.param("", ("process", "rss"), "gauge", 1.5, "process:rss 1.5", id="no labels"),
    pytest.param(
        "",
        ("rt", 'a"b\\c\nd', "x y-z"),
        "counter",
        1,
        'rt:x_y_z{rt="a\\"b\\\\c\\nd"} 1',
        id="escapes",
    ),
]


@pytest.mark.parametrize(("prefix", "scope", "kind", "value", "expected"), CASES)
def test_one_line(
    prefix: str, scope: tuple[str, ...], kind: str, value: float, expected: str
) -> None:
    assert lines(prefix, scope, kind, value) == [expected]  # type: ignore[arg-type]


def test_a_summary() -> None:
    summary = Summary(2, 10, 20, 30, 15.0, 10, 20, 20, 20, 20, 20)
    labels = 'rt="outgoing", service="svc/foo"'
    assert lines("", ("rt", "outgoing", "service", "svc/foo", "ms"), "stat", summary) == [
        f"rt:service:ms_count{{{labels}}} 2",
        f"rt:service:ms_sum{{{labels}}} 30",
        f"rt:service:ms_avg{{{labels}}} 15.0",
        f'rt:service:ms{{{labels}, quantile="0"}} 10',
        f'rt:service:ms{{{labels}, quantile="0.5"}} 10',
        *(
            f'rt:service:ms{{{labels}, quantile="{q}"}} 20'
            for q in ("0.9", "0.95", "0.99", "0.999", "0.9999", "1")
        ),
    ]


def test_the_page_groups_the_lines_of_a_name_under_its_help_and_type() -> None:
    tree = Tree()
    tree.counter("rt", "a", "service", "s", "requests").value = 1
    tree.gauge("up").value = 1
    tree.counter("rt", "a", "service", "t", "requests").value = 2
    assert render(tree, "l5d_").splitlines() == [
        "# TYPE l5d_up gauge",
        "l5d_up 1.0",
        "# HELP l5d_rt:service:requests Requests that ended.",
        "# TYPE l5d_rt:service:requests counter",
        'l5d_rt:service:requests{rt="a", service="s"} 1',
        'l5d_rt:service:requests{rt="a", service="t"} 2',
    ]


def test_totals_are_there_at_once_and_never_fall_while_quantiles_are_of_the_last_interval() -> None:
    tree = Tree()
    stat = tree.stat("ms")
    assert render(tree) == ""
    stat.add(10)
    assert render(tree).splitlines() == ["# TYPE ms summary", "ms_count 1", "ms_sum 10"]
    stat.snapshot()
    stat.add(20)
    page = render(tree).splitlines()
    assert page[:3] == ["# TYPE ms summary", "ms_count 2", "ms_sum 30"]
    assert 'ms{quantile="1"} 10' in page
    assert page[-2:] == ["# TYPE ms_avg gauge", "ms_avg 10.0"]
    stat.snapshot()
    stat.snapshot()
    assert render(tree).splitlines() == ["# TYPE ms summary", "ms_count 2", "ms_sum 30"]


def test_milliseconds_are_also_shown_in_buckets_that_can_be_added_up() -> None:
    tree = Tree()
    stat = tree.stat("rt", "a", "connect_latency_ms")
    tree.stat("rt", "a", "per_request").add(3)
    for value in (0, 5, 6, 70, 1000):
        stat.add(value)
    stat.snapshot()
    page = [line for line in render(tree, "l5d_", (5, 100)).splitlines() if "distrib" in line]
    name = "l5d_rt:connect_latency_ms_distribution"
    assert page == [
        f"# TYPE {name} histogram",
        f'{name}_bucket{{rt="a", le="5"}} 2',
        f'{name}_bucket{{rt="a", le="100"}} 4',
        f'{name}_bucket{{rt="a", le="+Inf"}} 5',
        f'{name}_count{{rt="a"}} 5',
        f'{name}_sum{{rt="a"}} 1081',
    ]


def test_reasons_of_failures_stand_under_the_help_of_all_failures() -> None:
    tree = Tree()
    tree.counter("rt", "a", "server", "s", "failures", "connect").value = 1
    tree.counter("rt", "a", "server", "s", "failures").value = 1
    assert render(tree).splitlines() == [
        "# HELP rt:server:failures Those that failed, by an error or by their response's class.",
        "# TYPE rt:server:failures counter",
        'rt:server:failures{rt="a", server="s"} 1',
        'rt:server:failures{rt="a", server="s", exception="connect"} 1',
    ]


def test_a_histogram_is_explained_twice_and_additions_are_not_called_so() -> None:
    tree = Tree()
    tree.counter("rt", "a", "client", "c", "cut_responses").value = 1
    stat = tree.stat("rt", "a", "client", "c", "connect_latency_ms")
    stat.add(3)
    stat.snapshot()
    explained = [line for line in render(tree).splitlines() if line.startswith("# HELP")]
    name = "rt:client:connect_latency_ms"
    assert explained == [
        "# HELP rt:client:cut_responses Responses that broke off before their end.",
        f"# HELP {name} Milliseconds to connect, TLS included.",
        f"# HELP {name}_avg Milliseconds to connect, TLS included. Mean of the last minute.",
    ]


def test_the_build_is_named_as_others_name_theirs() -> None:
    *_, line = build_info().splitlines()
    python = platform.python_version()
    assert line == f'meshproxy_build_info{{version="{__version__}", python="{python}"}} 1'


def test_an_empty_tree_is_an_empty_page() -> None:
    assert render(Tree()) == ""


def test_the_page_is_where_the_configuration_says() -> None:
    tree = Tree()
    tree.counter("a").value = 1
    telemeter = PrometheusConfig(path="/metrics", prefix="x_").build(TelemeterDeps(tree))
    telemeter.start()
    ((path, page),) = telemeter.pages().items()
    telemeter.close()
    assert path == "/metrics"
    assert page("") == (
        "text/plain; version=0.0.4; charset=utf-8",
        f"{build_info()}# TYPE x_a counter\nx_a 1\n".encode(),
    )


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ({"prefix": "1a"}, "prefix"),
        ({"prefix": "a-b"}, "prefix"),
        ({"path": "x"}, "path"),
        ({"buckets_ms": (5, 5)}, "bucketsMs"),
        ({"buckets_ms": (-1, 5)}, "bucketsMs"),
        ({"buckets_ms": tuple(range(51))}, "bucketsMs"),
        ({"buckets_ms": ()}, None),
    ],
)
def test_what_is_no_name_path_or_bucket_is_refused(keys: Any, wrong: str | None) -> None:
    assert [problem.key for problem in PrometheusConfig(**keys).check()] == [wrong] * bool(wrong)
