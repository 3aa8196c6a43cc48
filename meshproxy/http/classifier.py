"""What judges the result of a request: a success, a failure, or one that may be retried."""

import enum
from typing import Protocol

from meshproxy.http.headers import Headers


class ResponseClass(enum.Enum):
    """What a result means for retries, breakers and statistics."""

    SUCCESS = "success"
    FAILURE = "failure"
    RETRYABLE = "retryable_failure"


class Classifier(Protocol):
    """Decides if a result is a success, a failure, or a failure that may be retried."""

    @property
    def judges_from(self) -> int:
        """The lowest status of the heads that it has to see; lower ones are successes."""
        ...

    @property
    def may_retry_at_end(self) -> bool:
        """True if the end of a response may make it a failure that may be retried."""
        ...

    def response(
        self, method: bytes, status: int, headers: Headers, replayable: bool
    ) -> ResponseClass | None:
        """Returns the class of a response head; None if the end decides."""
        ...

    def end(self, trailers: Headers | None) -> ResponseClass:
        """Returns the class of a response that came to its end, its head having decided nothing."""
        ...

    def error(self, method: bytes, error: BaseException, replayable: bool) -> ResponseClass:
        """Returns the class of an attempt without a response."""
        ...
