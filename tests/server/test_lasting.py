"""What goes on without a greenlet is waited for, and cut in the end."""

from collections.abc import Callable

import gevent

from meshproxy.server.lasting import LastingConversations
from tests.kit.h2_wire import until
from tests.kit.wire import WAIT_S


class Session:
    """A conversation that ends when told."""

    def __init__(self) -> None:
        self.on_end: Callable[[], object] | None = None

    def cut(self) -> None:
        assert self.on_end is not None
        self.on_end()


def test_all_of_them_are_waited_for() -> None:
    lasting, ended = LastingConversations(), []
    assert lasting.wait(0)
    one, two = Session(), Session()
    for each in (one, two):
        lasting.keep(each, lambda: ended.append("ended"), lambda: ended.append("closed"))
    assert not lasting.wait(0)
    waiting = gevent.spawn(lasting.wait, 10)
    one.cut()
    gevent.sleep(0)
    assert not waiting.ready()
    two.cut()
    assert waiting.get(timeout=WAIT_S) is True
    assert ended == ["ended", "closed"] * 2


def test_all_of_them_are_cut() -> None:
    lasting = LastingConversations()
    ended: list[str] = []
    for _ in range(2):
        lasting.keep(Session(), lambda: ended.append("ended"))
    lasting.cut()
    until(lambda: len(ended) == 2)
    assert lasting.wait(0)
