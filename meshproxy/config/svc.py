"""Settings of services by logical name (linkerd: linkerd/core/.../Svc.scala)."""

from dataclasses import dataclass
from typing import ClassVar, Final

from meshproxy.config.bases import ClassifierConfig
from meshproxy.config.decode import Config, Kinded, key
from meshproxy.config.retries import RetriesConfig
from meshproxy.naming.matcher import PathMatcher

EVERY_NAME: Final = PathMatcher.parse("/")
CLASSIFICATION_MS: Final = 100
RETRY_BUFFER_BYTES: Final = 16_383


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBufferSizeConfig(Config):
    """How much of a stream is held for a retry."""

    request_bytes: int = key(
        default=RETRY_BUFFER_BYTES, minimum=0, quoted=True, doc="Bytes of the request's body."
    )
    response_bytes: int = key(
        default=RETRY_BUFFER_BYTES,
        minimum=0,
        quoted=True,
        doc="Bytes of the response's body that may come before its end is not awaited any more.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SvcSettings(Config):
    """The settings of a service; an unset key differs from one with the default value."""

    former: ClassVar = {
        "budget": "it belongs under retries",
        "backoff": "it belongs under retries",
        "timeoutMs": "it is totalTimeoutMs",
        "requestAttemptTimeoutMs": "it belongs under client",
    }

    total_timeout_ms: int | None = key(
        default=None, doc="Limit on a request with all its retries; 0 is none."
    )
    retries: RetriesConfig | None = key(default=None, doc="Retries of failed requests.")
    response_classifier: ClassifierConfig | None = key(
        default=None, doc="Decides what a failure is; 5xx and errors, not retryable, when unset."
    )
    retry_buffer_kb: int | None = key(
        default=None,
        minimum=0,
        added=True,
        only_for="http",
        doc="Most of a request body that is held for a retry; 64 when unset.",
    )
    classification_timeout_ms: int | None = key(
        default=None,
        minimum=0,
        quoted=True,
        only_for="h2",
        doc="How long a response is held back to see its end, if that may lead to a retry; "
        f"{CLASSIFICATION_MS} when unset.",
    )
    retry_buffer_size: RetryBufferSizeConfig | None = key(
        default=None, only_for="h2", doc="How much is held for a retry."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SvcItem(SvcSettings):
    """Settings of the services under a prefix."""

    prefix: PathMatcher = key(doc="The services it applies to; `*` and `{name}` match a segment.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SvcConfig(Kinded):
    """Settings of services."""

    category: ClassVar[str] = "services"
    default_kind: ClassVar[str | None] = "io.l5d.global"

    @property
    def rules(self) -> tuple[tuple[PathMatcher, SvcSettings], ...]:
        """The settings in order, each with the names it applies to; later ones win key by key."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalSvcConfig(SvcSettings, SvcConfig):
    """The same settings for every service."""

    kind: ClassVar[str] = "io.l5d.global"
    former: ClassVar = {**SvcSettings.former, "configs": "it needs `kind: io.l5d.static`"}

    @property
    def rules(self) -> tuple[tuple[PathMatcher, SvcSettings], ...]:
        """One rule that matches every name."""
        return ((EVERY_NAME, self),)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticSvcConfig(SvcConfig):
    """Settings by prefix; of those that match, later ones win key by key."""

    kind: ClassVar[str] = "io.l5d.static"

    configs: tuple[SvcItem, ...] = key(default=(), doc="The settings, in order.")

    @property
    def rules(self) -> tuple[tuple[PathMatcher, SvcSettings], ...]:
        """One rule per item."""
        return tuple((item.prefix, item) for item in self.configs)
