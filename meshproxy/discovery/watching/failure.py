"""Why the API of a discovery system gave no answer, and who has been told."""

import logging
from collections import Counter
from enum import StrEnum
from typing import Final

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """The kinds of failure; the names of the metrics too."""

    CONNECT = "connect"
    """No address, or no connection to any."""
    TLS = "tls"
    """The handshake failed, or the certificate is not the expected one."""
    STALLED = "stalled"
    """Nothing, or too little, came in time."""
    BROKEN = "broken"
    """The connection ended too early, or what came is not HTTP."""
    STATUS = "status"
    """The status is none that answers the question."""
    TOO_LARGE = "too_large"
    CREDENTIALS = "credentials"
    """There are none to ask with."""
    GONE = "gone"
    """The API forgot what the question goes on from."""
    MALFORMED = "malformed"
    """The body does not say what it should."""
    INTERNAL = "internal"
    """A fault of our own."""


_ROUTINE: Final = frozenset({Reason.GONE})
"""What is nobody's fault, and ends by asking anew."""


class ApiFailure(Exception):
    """A question got no answer; *status* is the HTTP status if there was one."""

    def __init__(self, reason: Reason, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status

    @property
    def kind(self) -> tuple[Reason, int | None]:
        """What is the same for all who fail alike."""
        return self.reason, self.status


class Complaints:
    """Logs a kind of failure once, however many watches have it, and once more when none has it."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._holders: Counter[tuple[Reason, int | None]] = Counter()

    def begin(self, failure: ApiFailure, watch: str) -> None:
        """Note that *watch* fails like this since now."""
        self._holders[failure.kind] += 1
        is_news = self._holders[failure.kind] == 1 and failure.reason not in _ROUTINE
        level = logging.WARNING if is_news else logging.DEBUG
        log.log(level, "%s: %s: %s", self._system, watch, failure)

    def end(self, failure: ApiFailure) -> None:
        """Note that one watch no longer fails like this."""
        self._holders[failure.kind] -= 1
        if not self._holders[failure.kind]:
            del self._holders[failure.kind]
            level = logging.DEBUG if failure.reason in _ROUTINE else logging.INFO
            log.log(level, "%s: no longer: %s", self._system, failure)
