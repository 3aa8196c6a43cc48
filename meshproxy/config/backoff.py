"""The kinds of backoff (linkerd: linkerd/core/.../BackoffConfig.scala)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from meshproxy.backoff import constant, decorrelated_jitter
from meshproxy.config.bases import BackoffConfig
from meshproxy.config.decode import Problem, key


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantConfig(BackoffConfig):
    """The same wait for ever."""

    kind: ClassVar[str] = "constant"
    ms: int = key(default=0, minimum=0, doc="The wait in milliseconds.")

    def build(self) -> Callable[[], Iterator[float]]:
        """Starts a series of waits in seconds."""
        return constant(self.ms / 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class JitteredConfig(BackoffConfig):
    """Random waits that grow from `minMs` to at most `maxMs`."""

    kind: ClassVar[str] = "jittered"
    min_ms: int = key(minimum=1, doc="The first wait in milliseconds.")
    max_ms: int = key(minimum=1, doc="The longest wait in milliseconds.")

    def check(self) -> Iterable[Problem]:
        """Yields a problem if minMs is more than maxMs."""
        if self.min_ms > self.max_ms:
            yield Problem(f"{self.min_ms} is more than maxMs, {self.max_ms}", key="minMs")

    def build(self) -> Callable[[], Iterator[float]]:
        """Starts a series of waits in seconds."""
        return decorrelated_jitter(self.min_ms / 1000, self.max_ms / 1000)
