"""The problems of a configuration, each with its place and its remedy."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from meshproxy.config.places import Mark


class Severity(Enum):
    """How serious a problem is."""

    ERROR = "error"
    MISSING = "missing"
    """Something does not exist on this machine: an error, unless another machine will serve."""
    WARNING = "warning"


class NotHere(ValueError):
    """This machine lacks something that a configuration needs: a file, a variable."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that a configuration object finds in itself; *key* is the YAML name."""

    what: str
    key: str | None = None
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One problem at its place; its text is the line that an operator reads."""

    file: str
    mark: Mark
    path: str
    what: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        at = f"{self.path}: " if self.path else ""
        return f"{self.file}:{self.mark.line}:{self.mark.column}: {at}{self.what}"


class ConfigErrors(Exception):
    """A configuration is refused; `errors` has every reason in the order of the file."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: error.mark))
        super().__init__("\n".join(map(str, self.errors)))


@dataclass(slots=True)
class Findings:
    """Collects the problems of one file."""

    file: str
    found: list[ConfigError] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """The directory of the file; the working directory for standard input."""
        return Path(self.file).parent

    def add(self, mark: Mark, path: str, what: str, severity: Severity = Severity.ERROR) -> None:
        """Adds one problem."""
        self.found.append(ConfigError(self.file, mark, path, what, severity))

    def of(self, *severities: Severity) -> tuple[ConfigError, ...]:
        """Returns the problems with these severities in the order of the file."""
        chosen = [error for error in self.found if error.severity in severities]
        return tuple(sorted(chosen, key=lambda error: error.mark))
