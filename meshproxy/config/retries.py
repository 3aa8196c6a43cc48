"""Budgets of retries and requeues (linkerd: linkerd/core/.../RetryBudgetConfig.scala)."""

from dataclasses import dataclass

from meshproxy.config.bases import BackoffConfig
from meshproxy.config.decode import Config, key


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudgetConfig(Config):
    """How many attempts beyond the first are allowed."""

    min_retries_per_sec: int = key(
        default=10, minimum=0, doc="Allowed every second, however little traffic there is."
    )
    percent_can_retry: float = key(
        default=0.2,
        minimum=0,
        maximum=1000,
        quoted=True,
        doc="Attempts per request beyond those; 0.2 is one for five requests.",
    )
    ttl_secs: int = key(default=10, minimum=1, maximum=60, doc="Seconds that a request counts.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriesConfig(Config):
    """Retries of a service."""

    budget: RetryBudgetConfig | None = key(default=None, doc="How many.")
    backoff: BackoffConfig | None = key(
        default=None, doc="How long to wait before each; not at all when unset."
    )
    max_retries: int | None = key(
        default=None, minimum=0, added=True, doc="Most retries of one request; 5 when unset."
    )
