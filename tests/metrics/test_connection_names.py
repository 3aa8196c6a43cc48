"""What a client counts of its connections is what the list says."""

from meshproxy.client.transport import ConnectStats
from meshproxy.metrics.connection_names import CONNECTING
from meshproxy.metrics.tree import Tree


def test_a_client_counts_what_the_list_says() -> None:
    metrics = Tree()
    ConnectStats(metrics).expiry.gone_away("local", 1)
    counted = {scope[0] for scope, _ in metrics.walk()}
    assert counted == {metric.name.partition("/")[0] for metric in CONNECTING}
