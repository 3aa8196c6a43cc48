"""io.l5d.tracelog: each span as a line of the process log (linkerd: telemetry/tracelog/...)."""

import json
import logging
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from meshproxy.config.bases import TelemeterConfig
from meshproxy.config.model import key
from meshproxy.http.trace import Recorder, Recording
from meshproxy.telemeters.spans import Sampler
from meshproxy.telemeters.telemeter import Telemeter, TelemeterDeps

_log = logging.getLogger(__name__)

_LEVELS: Final = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
    "FATAL": logging.CRITICAL,
    "ALL": logging.DEBUG,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TracelogConfig(TelemeterConfig):
    """Logs each span in a line of the process log."""

    kind: ClassVar[str] = "io.l5d.tracelog"
    in_workers: ClassVar[bool] = True
    sample_rate: float = key(
        default=1.0,
        quoted=True,
        doc="The share of traces to log, if the caller has not decided that.",
    )
    level: Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL", "ALL"] = key(
        default="INFO", doc="The level of the lines."
    )

    def build(self, deps: TelemeterDeps) -> "Tracelog":
        """Returns the telemeter; *deps* are not needed."""
        del deps
        return Tracelog(min(max(self.sample_rate, 0.0), 1.0), _LEVELS[self.level])


class Tracelog(Telemeter):
    """Logs spans at *level*."""

    wants_errors = wants_phases = False

    def __init__(self, sample_rate: float, level: int) -> None:
        self.wants = Sampler(sample_rate).wants
        self._level = level

    def recorder(self) -> Recorder:
        """Returns itself."""
        return self

    def record(self, recording: Recording) -> None:
        """Logs the spans of *recording*."""
        for span in recording.spans(phases=False):
            _log.log(
                self._level,
                "trace %016x span %016x parent %016x %s %s %d us %s",
                span.id.trace,
                span.id.span,
                span.id.parent,
                span.facts.kind,
                span.facts.name,
                span.duration_us,
                json.dumps(span.tags),
            )
