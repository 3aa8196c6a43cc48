"""Response classifiers: a result is a success, a failure, or a failure that may be retried.

Breakers, success rates and retries all use them (linkerd: .../http/ResponseClassifiers.scala,
completed in the order of linkerd/protocol/http/.../HttpConfig.scala).
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from meshproxy.config.bases import ClassifierConfig
from meshproxy.errors import LoopDetected, ProxyError
from meshproxy.h2.reset import StreamReset
from meshproxy.http.classifier import Classifier, ResponseClass
from meshproxy.http.headers import Headers

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

    __slots__ = ("_methods", "judges_from")

    may_retry_at_end = False

    def __init__(
        self, methods: frozenset[bytes] = frozenset(), *, all_successful: bool = False
    ) -> None:
        self._methods = methods
        self.judges_from = 600 if all_successful else 500

    def response(
        self, method: bytes, status: int, headers: Headers, replayable: bool
    ) -> ResponseClass:
        """Returns the class of a response head; *replayable*: the request's body is still held."""
        if status < self.judges_from or status > 599:
            return _SUCCESS
        if not replayable or status == LoopDetected.status:
            return _FAILURE
        if method in self._methods:
            return _RETRYABLE
        mark = headers.get(b"l5d-retryable")
        return _RETRYABLE if mark is not None and mark.lower() == b"true" else _FAILURE

    def end(self, trailers: Headers | None) -> ResponseClass:
        """Returns a success, as nothing in trailers makes a failure."""
        del trailers
        return _SUCCESS

    def error(self, method: bytes, error: BaseException, replayable: bool) -> ResponseClass:
        """Returns the class of an attempt that ended without a response head."""
        may_pass = isinstance(error, ProxyError) and error.transient
        return _RETRYABLE if may_pass and replayable and method in self._methods else _FAILURE


class StreamClassifier(MethodClassifier):
    """The same for HTTP/2, where no reset is retryable, and the retries ask if a body is held.

    linkerd: linkerd/protocol/h2/.../ResponseClassifiers.scala
    """

    __slots__ = ()

    def response(
        self, method: bytes, status: int, headers: Headers, replayable: bool
    ) -> ResponseClass:
        """Returns the class of a response head."""
        del replayable
        return MethodClassifier.response(self, method, status, headers, True)

    def error(self, method: bytes, error: BaseException, replayable: bool) -> ResponseClass:
        """Returns the class of an attempt that ended without a response head."""
        if isinstance(error, StreamReset):
            return _FAILURE
        return MethodClassifier.error(self, method, error, replayable)


class HeadClassifier:
    """A classifier of a plugin, which knows heads and errors alone."""

    judges_from = 500
    may_retry_at_end = False

    def __init__(self, classifier: Any) -> None:
        self.response = classifier.response
        self.error = classifier.error

    def end(self, trailers: Headers | None) -> ResponseClass:
        """Returns a success."""
        del trailers
        return _SUCCESS


def complete(classifier: Any) -> Classifier:
    """Returns *classifier* if it can judge an end too, else one that adds that."""
    found: Classifier = classifier
    return found if hasattr(classifier, "judges_from") else HeadClassifier(classifier)


@dataclass(frozen=True, slots=True, kw_only=True)
class NonRetryable5XXConfig(ClassifierConfig):
    """5xx and errors are failures; only responses marked `l5d-retryable: true` are sent again."""

    kind: ClassVar[str] = "io.l5d.http.nonRetryable5XX"
    only_for: ClassVar[str | None] = "http"
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
    only_for: ClassVar[str | None] = "http"

    def build(self) -> MethodClassifier:
        """Returns the classifier."""
        return MethodClassifier(all_successful=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class H2NonRetryable5XXConfig(NonRetryable5XXConfig):
    """5xx and errors are failures; only responses marked `l5d-retryable: true` are sent again."""

    kind: ClassVar[str] = "io.l5d.h2.nonRetryable5XX"
    only_for: ClassVar[str | None] = "h2"

    def build(self) -> MethodClassifier:
        """Returns the classifier."""
        return StreamClassifier(self.methods)


@dataclass(frozen=True, slots=True, kw_only=True)
class H2RetryableRead5XXConfig(H2NonRetryable5XXConfig):
    """5xx and errors but resets of GET, HEAD, OPTIONS and TRACE may be sent again."""

    kind: ClassVar[str] = "io.l5d.h2.retryableRead5XX"
    methods: ClassVar[frozenset[bytes]] = READ


@dataclass(frozen=True, slots=True, kw_only=True)
class H2RetryableIdempotent5XXConfig(H2NonRetryable5XXConfig):
    """5xx and errors but resets of GET, HEAD, OPTIONS, TRACE, PUT and DELETE may be sent again."""

    kind: ClassVar[str] = "io.l5d.h2.retryableIdempotent5XX"
    methods: ClassVar[frozenset[bytes]] = IDEMPOTENT


@dataclass(frozen=True, slots=True, kw_only=True)
class H2RetryableAll5XXConfig(H2NonRetryable5XXConfig):
    """5xx and errors but resets of every standard method but CONNECT may be sent again."""

    kind: ClassVar[str] = "io.l5d.h2.retryableAll5XX"
    methods: ClassVar[frozenset[bytes]] = ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class H2AllSuccessfulConfig(AllSuccessfulConfig):
    """Every response is a success, whatever its status; errors and broken bodies are failures."""

    kind: ClassVar[str] = "io.l5d.h2.allSuccessful"
    only_for: ClassVar[str | None] = "h2"

    def build(self) -> MethodClassifier:
        """Returns the classifier."""
        return StreamClassifier(all_successful=True)
