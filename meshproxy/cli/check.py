"""`meshproxy check CONFIG`: everything but listening."""

import os
from argparse import Namespace

from meshproxy.cli.configuration import run_with, tell
from meshproxy.config.errors import ConfigError, Severity
from meshproxy.config.load import Loaded
from meshproxy.lint.warnings import warnings_of
from meshproxy.runtime.building import Problems
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.listen_addresses import absent_addresses
from meshproxy.runtime.process_log import log_to_stderr


def run(given: Namespace) -> int:
    """Checks the configuration. Returns the exit status."""
    log_to_stderr(given.log_level, given.log_format)
    is_lenient = given.allow_missing_files
    return run_with(given.config, lambda one: _check(one, given), allow_missing=is_lenient)


def _check(loaded: Loaded, given: Namespace) -> int:
    """Builds *loaded* without listening, and prints every finding."""
    linker, refused = build(loaded)
    found = (*loaded.warnings, *warnings_of(loaded, os.environ), *refused)
    if not tell(found, allow_missing=given.allow_missing_files):
        return 1
    limits = linker.explain_limits() if given.verbose and linker is not None else ()
    print("\n".join([*limits, "ok"]))
    return 0


def build(loaded: Loaded) -> tuple[Linker | None, list[ConfigError]]:
    """Builds *loaded* without listening. Returns what was built, and why it cannot be served."""
    problems = Problems(absent_addresses(loaded.config))
    linker: Linker | None = None
    with problems.noted():
        linker = Linker(loaded.config)
    return linker, [*loaded.missing, *_not_told(problems, loaded)]


def _not_told(problems: Problems, loaded: Loaded) -> list[ConfigError]:
    """Returns *problems*, except those caused by a file that is reported as missing."""
    placed = [loaded.placed(one) for one in problems]
    told = [one.path for one in loaded.missing]
    return [
        one
        for one in placed
        if one.severity is not Severity.MISSING
        or not any(path.startswith(one.path) for path in told)
    ]
