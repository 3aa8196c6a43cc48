"""Takes the process out of rotation while it serves on, and back again, as an operator wishes."""

from meshproxy.runtime.announcing import Announcing
from meshproxy.runtime.readiness import Readiness
from meshproxy.timeline import Kind, timeline


class Draining:
    """Answers 503 at `/ready` and withdraws announcements while it is on."""

    def __init__(self, readiness: Readiness, announcing: Announcing) -> None:
        self._readiness = readiness
        self._announcing = announcing

    def __call__(self, *, on: bool) -> None:
        """Begins it, or ends it; waits for announcements to be withdrawn."""
        if on == self._readiness.is_draining:
            return
        self._readiness.is_draining = on
        what = "draining: not ready, no longer announced" if on else "no longer draining"
        timeline.note(Kind.OPERATOR, "process", what)
        if on:
            self._announcing.pause()
        else:
            self._announcing.resume()
