"""Classifiers of gRPC calls, whose status is in the trailers, or in a head without a body.

linkerd: linkerd/protocol/h2/.../grpc/{GrpcClassifier,GrpcClassifierConfig}.scala. The order of
looking: `grpc-status` in the head, the HTTP status, `grpc-status` in the trailers. A call that ends
without a status is a failure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from meshproxy.config.bases import ClassifierConfig
from meshproxy.config.decode import Problem, key
from meshproxy.errors import ProxyError
from meshproxy.h2.grpc import STATUS, GrpcStatus, read_status
from meshproxy.h2.reset import StreamRefused
from meshproxy.http.classifier import ResponseClass
from meshproxy.http.headers import MAX_LINE, Headers
from meshproxy.http.memo import Memo

_SUCCESS, _FAILURE, _RETRYABLE = ResponseClass
_UNAVAILABLE: Final = frozenset({int(GrpcStatus.UNAVAILABLE)})
_MAX_STATUS: Final = 999
_EVERY: Final = frozenset(range(_MAX_STATUS + 1))


class GrpcClassifier:
    """Judges a call by its status; a call is retryable whatever its method.

    Args:
        success: status codes that are successes.
        retryable: of the others, those that may be retried.
        http: HTTP statuses that may be retried.
        refused: True if a stream that the endpoint refused may be retried.
        errors: True if every attempt without a response may be retried that can succeed later.
    """

    def __init__(
        self,
        success: frozenset[int],
        retryable: frozenset[int],
        http: frozenset[int] = frozenset(),
        *,
        refused: bool = False,
        errors: bool = False,
    ) -> None:
        self._success = success
        self._retryable = retryable
        self._http = http
        self._refused = refused
        self._errors = errors
        self.judges_from = 0
        self.may_retry_at_end = bool(retryable - success)
        self._ends: Memo[bytes, ResponseClass] = Memo(_MAX_STATUS + 1)
        """By the line of the status in the trailers."""

    def response(
        self, method: bytes, status: int, headers: Headers, replayable: bool
    ) -> ResponseClass | None:
        """Returns the class of a response head; None if the end decides."""
        del method, replayable
        if STATUS in headers.names:
            code = read_status(headers)
            return self._class_of(GrpcStatus.UNKNOWN if code == -1 else code)
        if status < 400:
            return None
        return _RETRYABLE if status in self._http else _FAILURE

    def end(self, trailers: Headers | None) -> ResponseClass:
        """Returns the class of a call that has ended; a status that is no number counts as none."""
        if trailers is None or STATUS not in trailers.names:
            return _FAILURE
        line = trailers.lines[trailers.names.index(STATUS)]
        result = self._ends.get(line)
        if result is None:
            result = self._class_of(read_status(trailers))
            if len(line) <= MAX_LINE:
                self._ends.keep(line, result)
        return result

    def error(self, method: bytes, error: BaseException, replayable: bool) -> ResponseClass:
        """Returns the class of an attempt without a response."""
        del method
        if isinstance(error, StreamRefused):
            may_pass = self._refused
        else:
            may_pass = self._errors and isinstance(error, ProxyError) and error.transient
        return _RETRYABLE if may_pass and replayable else _FAILURE

    def _class_of(self, code: int | None) -> ResponseClass:
        if code in self._success:
            return _SUCCESS
        return _RETRYABLE if code in self._retryable else _FAILURE


def _codes(codes: Iterable[int], name: str) -> Iterable[Problem]:
    for index, code in enumerate(codes):
        if not 0 <= code <= _MAX_STATUS:
            yield Problem(f"{code} is not a gRPC status code", f"{name}[{index}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcDefaultConfig(ClassifierConfig):
    """Calls with a status code other than 0 are failures; UNAVAILABLE (14) may be sent again."""

    kind: ClassVar[str] = "io.l5d.h2.grpc.default"
    only_for: ClassVar[str | None] = "h2"

    success_status_codes: tuple[int, ...] = key(
        default=(0,), doc="The status codes that are no failures, in place of 0."
    )

    def check(self) -> Iterable[Problem]:
        """Yields a problem for each number that is not a status code."""
        yield from _codes(self.success_status_codes, "successStatusCodes")

    def build(self) -> GrpcClassifier:
        """Returns the classifier."""
        return GrpcClassifier(frozenset(self.success_status_codes), _UNAVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCompliantConfig(GrpcDefaultConfig):
    """As gRPC's own clients: UNAVAILABLE (14), HTTP 429, 502, 503 and 504, and REFUSED_STREAM."""

    kind: ClassVar[str] = "io.l5d.h2.grpc.compliant"

    def build(self) -> GrpcClassifier:
        """Returns the classifier."""
        return GrpcClassifier(
            frozenset(self.success_status_codes),
            _UNAVAILABLE,
            frozenset({429, 502, 503, 504}),
            refused=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcNeverRetryableConfig(GrpcDefaultConfig):
    """Calls with a status code other than 0 are failures; none is sent again."""

    kind: ClassVar[str] = "io.l5d.h2.grpc.neverRetryable"

    def build(self) -> GrpcClassifier:
        """Returns the classifier."""
        return GrpcClassifier(frozenset(self.success_status_codes), frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcAlwaysRetryableConfig(GrpcDefaultConfig):
    """Calls with a status code other than 0 are failures, and all of them may be sent again."""

    kind: ClassVar[str] = "io.l5d.h2.grpc.alwaysRetryable"

    def build(self) -> GrpcClassifier:
        """Returns the classifier."""
        return GrpcClassifier(
            frozenset(self.success_status_codes),
            _EVERY,
            frozenset(range(400, 600)),
            refused=True,
            errors=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcRetryableStatusCodesConfig(GrpcDefaultConfig):
    """Calls with a status code other than 0 are failures; those of a list may be sent again."""

    kind: ClassVar[str] = "io.l5d.h2.grpc.retryableStatusCodes"

    retryable_status_codes: tuple[int, ...] = key(doc="The status codes that may be sent again.")

    def check(self) -> Iterable[Problem]:
        """Yields a problem for each number that is not a status code."""
        yield from GrpcDefaultConfig.check(self)
        yield from _codes(self.retryable_status_codes, "retryableStatusCodes")

    def build(self) -> GrpcClassifier:
        """Returns the classifier."""
        retryable = frozenset(self.retryable_status_codes)
        return GrpcClassifier(frozenset(self.success_status_codes), retryable)
