import pytest

from meshproxy.client.transport import ConnectStats, Session
from meshproxy.metrics.tree import Tree


@pytest.mark.parametrize(
    ("session", "limited"),
    [
        (Session(), False),
        (Session(keep=3), False),
        (Session(idle_seconds=1), True),
        (Session(life_seconds=1), True),
        (Session(spare_seconds=1), True),
    ],
)
def test_a_session_is_limited_by_any_of_its_times(session: Session, limited: bool) -> None:
    assert session.is_limited is limited


def test_open_connections_are_those_opened_and_not_closed() -> None:
    metrics = Tree()
    stats = ConnectStats(metrics)
    stats.opened(0.002)
    stats.opened(0.002)
    stats.closed()
    assert metrics.gauge("connections").read() == 1
    assert [metrics.counter(name).value for name in ("connects", "closes")] == [2, 1]
