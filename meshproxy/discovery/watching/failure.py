"""Failures of the APIs of discovery systems, and a log that does not repeat them."""

import logging
from collections import Counter
from enum import StrEnum
from typing import Final

from meshproxy.timeline import Kind, timeline

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """The kinds of failure, which are also the names of the metrics."""

    CONNECT = "connect"
    """No address, or no connection to any."""
    TLS = "tls"
    """The handshake failed, or the certificate is not the expected one."""
    STALLED = "stalled"
    """Nothing, or too little, arrived in time."""
    BROKEN = "broken"
    """The connection ended too early, or the answer is not HTTP."""
    STATUS = "status"
    """The status is not that of an answer."""
    TOO_LARGE = "too_large"
    CREDENTIALS = "credentials"
    """There are no credentials."""
    GONE = "gone"
    """The API no longer has the version that the request continues from."""
    MALFORMED = "malformed"
    """The body is malformed."""
    INTERNAL = "internal"
    """A fault in this program."""


_ROUTINE: Final = frozenset({Reason.GONE})
"""Failures that are no fault and end with a new request."""


class ApiFailure(Exception):
    """A request got no answer; *status* is the HTTP status if there was one."""

    def __init__(self, reason: Reason, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status

    @property
    def kind(self) -> tuple[Reason, int | None]:
        """Identifies failures of the same kind."""
        return self.reason, self.status


class Complaints:
    """Logs a kind of failure once, however many watches have it, and again when none has it."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._holders: Counter[tuple[Reason, int | None]] = Counter()

    def begin(self, failure: ApiFailure, watch: str) -> None:
        """Records that *watch* begins to fail this way."""
        self._holders[failure.kind] += 1
        is_news = self._holders[failure.kind] == 1 and failure.reason not in _ROUTINE
        level = logging.WARNING if is_news else logging.DEBUG
        log.log(level, "%s: %s: %s", self._system, watch, failure)
        if is_news:
            timeline.note(Kind.DISCOVERY, self._system, f"{watch}: {failure}")

    def end(self, failure: ApiFailure) -> None:
        """Records that one watch no longer fails this way."""
        self._holders[failure.kind] -= 1
        if not self._holders[failure.kind]:
            del self._holders[failure.kind]
            is_news = failure.reason not in _ROUTINE
            level = logging.INFO if is_news else logging.DEBUG
            log.log(level, "%s: no longer: %s", self._system, failure)
            if is_news:
                timeline.note(Kind.DISCOVERY, self._system, f"no longer: {failure}")
