import socket

import gevent
import pytest

from meshproxy.metrics.instruments import Counter
from meshproxy.metrics.tree import Tree
from meshproxy.net.traffic import traffic
from meshproxy.telemeters import snapshots
from meshproxy.telemeters.snapshots import Snapshots
from tests.kit.wire import dial


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "FOLD_INTERVAL_S", 0.001)


def test_histograms_are_summarised_each_interval() -> None:
    tree = Tree()
    stat = tree.stat("ms")
    stat.add(7)
    ticking = Snapshots(tree, interval_s=0.003)
    ticking.start()
    with gevent.Timeout(5):
        while stat.last is None:
            gevent.sleep(0)
        assert stat.last.max == 7
        while stat.last.count:
            gevent.sleep(0)
    ticking.close()
    assert stat.read().count == 1
    assert ticking.pages() == {}


def test_between_summaries_values_are_folded() -> None:
    tree = Tree()
    stats = [tree.stat(f"s{n}") for n in range(600)]
    for stat in stats:
        stat.add(1)
    ticking = Snapshots(tree, interval_s=60)
    ticking.start()
    with gevent.Timeout(5):
        while any(stat._queue for stat in stats):
            gevent.sleep(0)
    ticking.close()
    assert all(stat.last is None for stat in stats)


def test_traffic_is_counted_each_second() -> None:
    ours, theirs = Counter(), Counter()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        dial(server.getsockname()) as sock,
    ):
        traffic.watch(sock, sock, theirs, ours)
        sock.sendall(b"hello")
        ticking = Snapshots(Tree())
        ticking.start()
        with gevent.Timeout(5):
            while ours.value != 5:
                gevent.sleep(0.01)
        ticking.close()
        traffic.leave(sock)


def test_closing_what_never_started_is_fine() -> None:
    Snapshots(Tree()).close()
