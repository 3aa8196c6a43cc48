"""`meshproxy check CONFIG`: everything but listening."""

import sys
from argparse import Namespace

from meshproxy.cli.configuration import run_with
from meshproxy.config.load import Loaded
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.process_log import log_to_stderr


def run(given: Namespace) -> int:
    """Check the configuration; the exit status."""
    log_to_stderr(given.log_level, given.log_format)
    return run_with(given.config, lambda loaded: _check(loaded, given.verbose))


def _check(loaded: Loaded, verbose: bool) -> int:
    """Build *loaded* without listening; missing files are warnings here."""
    for warning in (*loaded.missing, *(loaded.warnings if verbose else ())):
        print(f"warning: {warning}", file=sys.stderr)
    if not loaded.missing:
        linker = Linker(loaded.config)
        if verbose:
            print("\n".join(linker.explain_limits()))
    print("ok")
    return 0
