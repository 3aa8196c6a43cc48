"""Out of rotation and back."""

from meshproxy.metrics.tree import Tree
from meshproxy.runtime.announcing import Announcing
from meshproxy.runtime.draining import Draining
from meshproxy.runtime.readiness import Readiness
from meshproxy.timeline import Kind
from tests.kit.events import events_of


class Noted(Announcing):
    """Announcements that note what is done with them."""

    def __init__(self) -> None:
        super().__init__(Tree())
        self.done: list[str] = []

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")


def test_it_is_not_ready_until_it_is_undone() -> None:
    readiness, announcing = Readiness(), Noted()
    drain = Draining(readiness, announcing)
    drain(on=False)
    assert (readiness.why_not(), announcing.done) == (None, [])
    before = len(events_of("process", Kind.OPERATOR))
    drain(on=True)
    drain(on=True)
    assert (readiness.why_not(), announcing.done) == ("draining", ["pause"])
    drain(on=False)
    assert (readiness.why_not(), announcing.done) == (None, ["pause", "resume"])
    assert len(events_of("process", Kind.OPERATOR)) == before + 2
