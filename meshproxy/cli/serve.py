"""`meshproxy CONFIG`: serves until it is stopped."""

import logging
import sys
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Final

from meshproxy.cli import shipped
from meshproxy.cli.check import build
from meshproxy.cli.configuration import run_with, text_of
from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import Loaded, load
from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.building import CannotStart
from meshproxy.runtime.process_log import log_to_stderr
from meshproxy.runtime.serve import serve

_WHAT_TO_TRY: Final = """\
No file was given, so this serves the built-in one: meshproxy --print-config laptop

  curl -H 'Host: example.org' http://127.0.0.1:4140/    a name and port 80
  curl -x http://127.0.0.1:4140 https://example.org/    as a proxy, through a tunnel
  curl http://127.0.0.1:9990/admin/metrics.json         what has been counted

For other programs, in their shell:

  export http_proxy=http://127.0.0.1:4140 https_proxy=http://127.0.0.1:4140
  export no_proxy=localhost,127.0.0.1
"""
_WHAT_TO_CHANGE: Final = """\
No file was given, so this is about the built-in one. To serve it with other settings:
  meshproxy --print-config laptop > my.yaml && meshproxy my.yaml"""


def run(given: Namespace) -> int:
    """Serves the configuration. Returns the exit status."""
    log_to_stderr(given.log_level, given.log_format)
    if given.config is not None:
        return run_with(given.config, lambda loaded: _serve(loaded, given.config))
    name = str(shipped.file("laptop"))
    status = run_with(name, lambda loaded: _serve(loaded, name, started=_print_what_to_try))
    if status:
        print(_WHAT_TO_CHANGE, file=sys.stderr)
    return status


def _print_what_to_try() -> None:
    print(_WHAT_TO_TRY, flush=True)


def _serve(loaded: Loaded, name: str, started: Callable[[], None] | None = None) -> int:
    if loaded.missing:
        raise ConfigErrors(build(loaded)[1])
    for warning in loaded.warnings:
        logging.getLogger("meshproxy").warning("%s", warning)
    return serve(loaded.config, partial(_read_again, name), started)


def _read_again(name: str) -> LinkerConfig:
    """Returns the present configuration in the file *name*."""
    if name == "-":
        raise CannotStart("the configuration came from standard input, which cannot be read again")
    return load(*text_of(name))
