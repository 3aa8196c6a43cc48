"""The configuration of one service, with all settings resolved.

Each rule whose prefix matches replaces whole settings, in file order (linkerd:
linkerd/core/.../Svc.scala).
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from meshproxy.backoff import Backoff, constant
from meshproxy.classifiers.status import MethodClassifier, complete
from meshproxy.config.retries import RetriesConfig, RetryBudgetConfig
from meshproxy.config.svc import CLASSIFICATION_MS, RETRY_BUFFER_BYTES, SvcConfig, SvcSettings
from meshproxy.http.classifier import Classifier
from meshproxy.naming.path import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldResponse:
    """How long a response is held back to see its end, which may ask for a retry."""

    seconds: float = CLASSIFICATION_MS / 1000
    bytes: int = RETRY_BUFFER_BYTES
    """Of its body, after which it is passed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPolicy:
    """How requests for one logical name are retried; times in seconds."""

    total_seconds: float = math.inf
    retry_budget: RetryBudgetConfig = field(default_factory=RetryBudgetConfig)
    backoff: Backoff = field(default_factory=lambda: constant(0))
    max_retries: int = 5
    """Retries of one request."""
    classifier: Classifier = field(default_factory=MethodClassifier)
    retry_buffer_bytes: int = 65_536
    """Bytes of a request body that are held for a retry."""
    held_response: HeldResponse | None = None
    """How long a response waits for its end, if that may lead to a retry; None if it never does."""


def path_policy(config: SvcConfig, name: Path, unset: PathPolicy | None = None) -> PathPolicy:
    """Returns the policy of the logical *name*; what no rule says is as in *unset*."""
    policy = unset or PathPolicy()
    for matcher, settings in config.rules:
        if matcher.match(name) is not None:
            policy = replace(policy, **_path_settings(settings, policy))
    return policy


def limit_seconds(milliseconds: int) -> float:
    """Returns the seconds of a limit; 0 or less is infinity, no limit."""
    return milliseconds / 1000 if milliseconds > 0 else math.inf


def _path_settings(settings: SvcSettings, before: PathPolicy) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if settings.total_timeout_ms is not None:
        written["total_seconds"] = limit_seconds(settings.total_timeout_ms)
    if settings.retries is not None:
        written |= _retry_settings(settings.retries)
    if settings.response_classifier is not None:
        written["classifier"] = complete(settings.response_classifier.build())
    if settings.retry_buffer_kb is not None:
        written["retry_buffer_bytes"] = settings.retry_buffer_kb * 1024
    held = before.held_response or HeldResponse()
    if settings.retry_buffer_size is not None:
        sizes = settings.retry_buffer_size
        written["retry_buffer_bytes"] = sizes.request_bytes
        written["held_response"] = held = replace(held, bytes=sizes.response_bytes)
    if settings.classification_timeout_ms is not None:
        seconds = settings.classification_timeout_ms / 1000
        written["held_response"] = replace(held, seconds=seconds)
    return written


def _retry_settings(config: RetriesConfig) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if config.budget is not None:
        written["retry_budget"] = config.budget
    if config.backoff is not None:
        written["backoff"] = config.backoff.build()
    if config.max_retries is not None:
        written["max_retries"] = config.max_retries
    return written
