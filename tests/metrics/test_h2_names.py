"""What is counted of HTTP/2 is what the list says is counted."""

import pytest

from meshproxy.filters.stream_stats import StreamStats
from meshproxy.metrics.h2_names import H2
from meshproxy.metrics.meanings import entry_of
from meshproxy.metrics.metric import Section
from meshproxy.metrics.tree import Tree
from meshproxy.server.h2.stats import H2ServerStats


def test_filters_and_servers_count_what_the_list_says() -> None:
    root = Tree()
    server = root.scope("rt", "h2", "server", "127.0.0.1/4142")
    stats = H2ServerStats(server)
    stats.gone_away(11)
    StreamStats(server)
    StreamStats(root.scope("rt", "h2", "service", "svc/web"))
    StreamStats(root.scope("rt", "h2", "client", "$/inet/127.1/80"))
    unknown = [scope for scope, _ in root.walk() if entry_of(scope) is None]
    assert unknown == []


@pytest.mark.parametrize("section", H2, ids=lambda section: section.scope)
def test_every_section_is_in_the_one_list(section: Section) -> None:
    for metric in section.metrics:
        assert entry_of((*section.scope.split("/"), *metric.name.split("/"))) == metric
