"""Response classifiers: a result is a success, a failure, or a failure that may be retried.

Breakers, success rates and retries all use them (linkerd: .../http/ResponseClassifiers.scala,
completed in the order of linkerd/protocol/http/.../HttpConfig.scala).
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from meshproxy.config.bases import ClassifierConfig
from meshproxy.errors import LoopDetected, ProxyError
from meshproxy.http.headers import Headers
from meshproxy.http.message import ResponseClass

READ: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})
IDEMPOTENT: Final = READ | {b"PUT", b"DELETE"}
ALL: Final = IDEMPOTENT | {b"PATCH", b"POST"}
"""No rule retries other methods, such as CONNECT and extensions."""

_SUCCESS, _FAILURE, _RETRYABLE = ResponseClass


class MethodClassifier:
    """5xx and errors are failures, retryable for the given methods or by `l5d-retryable: true`.

    A request whose body cannot be sent again is never retryable, nor is one in a loop (508), since
    each proxy of the loop would multiply it.
    """

    __slots__ = ("_failures_from", "_methods")

    def __init__(
        self, methods: frozenset[bytes] = frozenset(), *, all_successful: bool = False
    ) -> None:
        self._methods = methods
        self._failures_from = 600 if all_successful else 500

    def response(
        self, method: bytes, status: int, headers: Headers, replayable: bool
    ) -> ResponseClass:
        """Returns the class of a response head; *replayable*: the request's body is still held."""
        if status < self._failures_from or status > 599:
            return _SUCCESS
        if not replayable or status == LoopDetected.status:
            return _FAILURE
        if method in self._methods:
            return _RETRYABLE
        mark = headers.get(b"l5d-retryable")
        return _RETRYABLE if mark is not None and mark.lower() == b"true" else _FAILURE

    def error(self, method: bytes, error: BaseException, replayable: bool) -> ResponseClass:
        """Returns the class of an attempt that ended without a response head."""
        may_pass = isinstance(error, ProxyError) and error.transient
        return _RETRYABLE if may_pass and replayable and method in self._methods else _FAILURE


@dataclass(frozen=True, slots=True, kw_only=True)
class NonRetryable5XXConfig(ClassifierConfig):
    """5xx and errors are failures; only responses marked `l5d-retryable: true` are sent again."""

    kind: ClassVar[str] = "io.l5d.http.nonRetryable5XX"
    methods: ClassVar[frozenset[bytes]] = frozenset()

    def build(self) -> MethodClassifier:
        """Returns the classifier."""
        return MethodClassifier(self.methods)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryableRead5XXConfig(NonRetryable5XXConfig):
    """5xx and errors of GET, HEAD, OPTIONS and TRACE may be sent again."""

    kind: ClassVar[str] = "io.l5d.http.retryableRead5XX"
    methods: ClassVar[frozenset[bytes]] = READ


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryableIdempotent5XXConfig(NonRetryable5XXConfig):
    """5xx and errors of GET, HEAD, OPTIONS, TRACE, PUT and DELETE may be sent again."""

    kind: ClassVar[str] = "io.l5d.http.retryableIdempotent5XX"
    methods: ClassVar[frozenset[bytes]] = IDEMPOTENT


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryableAll5XXConfig(NonRetryable5XXConfig):
    """5xx and errors of every standard method but CONNECT may be sent again."""

    kind: ClassVar[str] = "io.l5d.http.retryableAll5XX"
    methods: ClassVar[frozenset[bytes]] = ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class AllSuccessfulConfig(ClassifierConfig):
    """Every response is a success, whatever its status; errors are failures."""

    kind: ClassVar[str] = "io.l5d.http.allSuccessful"

    def build(self) -> MethodClassifier:
        """Returns the classifier."""
        return MethodClassifier(all_successful=True)
