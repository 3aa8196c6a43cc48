"""The description of a metric: its name, kind and meaning."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; each `<...>` in its name stands for any one element."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True, slots=True)
class Section:
    """A scope and its metrics."""

    scope: str
    about: str
    metrics: tuple[Metric, ...]


def counter(name: str, meaning: str) -> Metric:
    """Describes a counter."""
    return Metric(name, "counter", meaning)


def gauge(name: str, meaning: str) -> Metric:
    """Describes a gauge."""
    return Metric(name, "gauge", meaning)


def histogram(name: str, meaning: str) -> Metric:
    """Describes a histogram."""
    return Metric(name, "histogram", meaning)
