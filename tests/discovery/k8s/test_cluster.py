import gc

from meshproxy.discovery.k8s.api import ApiServer, Timing
from meshproxy.discovery.k8s.cluster import MAX_IDLE, Cluster, cluster_at
from meshproxy.metrics.tree import Tree
from meshproxy.var import Ok
from tests.kit.k8s import KubeApi, wait_until


def test_one_server_is_one_cluster_while_it_is_in_use() -> None:
    first = cluster_at(ApiServer("one.example"))
    assert cluster_at(ApiServer("one.example")) is first
    assert cluster_at(ApiServer("two.example")) is not first
    tally = first.tally
    del first
    gc.collect()
    assert cluster_at(ApiServer("one.example")).tally is not tally


def test_a_namespace_has_one_table_of_each_kind() -> None:
    cluster = Cluster(ApiServer(), Timing())
    assert cluster.groups("default") is cluster.groups("default")
    assert cluster.groups("default") is not cluster.groups("other")
    assert cluster.services("default") is cluster.services("default")


def test_idle_namespaces_are_forgotten_when_there_are_many() -> None:
    cluster = Cluster(ApiServer(), Timing())
    first = cluster.groups("ns-0")
    for number in range(1, MAX_IDLE + 2):
        cluster.groups(f"ns-{number}")
    assert cluster.groups("ns-0") is not first
    assert cluster.groups(f"ns-{MAX_IDLE}") is cluster.groups(f"ns-{MAX_IDLE}")


def test_the_shortest_patience_is_lent() -> None:
    cluster = Cluster(ApiServer(), Timing())
    assert cluster.patience() is None
    cluster.lend_patience(2)
    cluster.lend_patience(3)
    assert cluster.patience() == 2
    cluster.lend_patience(0)
    cluster.lend_patience(1)
    assert cluster.patience() == 0


def test_metrics_show_how_the_api_is_doing() -> None:
    time = 50.0
    metrics = Tree()
    with KubeApi() as api:
        cluster = Cluster(ApiServer("127.0.0.1", api.port), Timing(), lambda: time)
        cluster.report(metrics)
        entry = cluster.groups("default").entry("hello", lambda: None)
        close = entry.observe(lambda _: None)
        wait_until(lambda: entry.sample() == Ok(()) and api.watchers)
        api.break_watches()
        wait_until(lambda: metrics.gauge("failures", "broken").read() == 1)
        time = 53.0
        assert metrics.gauge("watches").read() == 1
        assert metrics.gauge("oldest_list_s").read() == 3.0
        close()
    assert metrics.gauge("lists").read() == 1
    assert metrics.gauge("watches").read() == 0
    assert metrics.gauge("oldest_list_s").read() == 0
