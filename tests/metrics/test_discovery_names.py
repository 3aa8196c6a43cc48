"""What discovery counts is what the list says it counts."""

import pytest

from meshproxy.discovery.watching.watch import WatchStats
from meshproxy.metrics.discovery_names import DISCOVERY, WATCHES
from meshproxy.metrics.meanings import entry_of
from meshproxy.metrics.metric import Section
from meshproxy.metrics.tree import Tree


def test_a_watch_counts_what_the_list_says() -> None:
    metrics = Tree()
    WatchStats(metrics)
    counted = {
        name if len(scope) == 0 else f"{scope[0]}/<reason>" for *scope, name in _names(metrics)
    }
    assert counted == {metric.name for metric in WATCHES}


@pytest.mark.parametrize("section", DISCOVERY, ids=lambda section: section.scope)
def test_every_section_is_in_the_one_list(section: Section) -> None:
    for metric in section.metrics:
        assert entry_of((*section.scope.split("/"), *metric.name.split("/"))) == metric


def _names(metrics: Tree) -> list[tuple[str, ...]]:
    return [scope for scope, _ in metrics.walk()]
