"""`meshproxy CONFIG` serves, `meshproxy check CONFIG` only looks (linkerd: .../Main.scala)."""

import argparse
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from meshproxy import __version__
from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import Loaded, load, read
from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.generation import CannotStart
from meshproxy.runtime.linker import Linker
from meshproxy.runtime.serve import serve

_DESCRIPTION = """\
An HTTP proxy that names requests, resolves the names through a delegation table
(dtab) and balances them over what it finds: Linkerd 1.x configuration files, on
gevent."""

_EPILOG = """\
commands:
  meshproxy CONFIG         serve the configuration until SIGTERM or SIGINT
  meshproxy check CONFIG   say `ok`, or every error as file:line:column: path: what;
                           -v adds warnings and the limits in force

CONFIG is a YAML file, a JSON file (its first character is `{`), or `-` for
standard input. Logs go to standard error. The admin pages are on
http://127.0.0.1:9990 unless the file says otherwise.

SIGHUP reads the file again; a configuration with errors changes nothing.

exit status: 0 after a stop or `ok`; 1 for a configuration that cannot be served, and
after a second SIGTERM or SIGINT; 2 for a command line that cannot be read.

example:
  meshproxy conf/egress.yaml
  curl -H 'Host: example.com:443' http://127.0.0.1:4140/"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of *arguments*; the exit status."""
    parser = argparse.ArgumentParser(
        prog="meshproxy",
        usage="meshproxy [check [-v]] CONFIG",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"meshproxy {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="with check: say more")
    parser.add_argument("words", nargs="+", metavar="CONFIG", help="file, or - for standard input")
    given = parser.parse_intermixed_args(arguments)
    words: list[str] = given.words
    checks = words[0] == "check" and len(words) == 2
    if len(words) != 1 + checks:
        parser.error("expected one CONFIG, or check and one CONFIG")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    try:
        text, name = _text_of(words[-1])
        loaded = read(text, name)
        return _check(loaded, given.verbose) if checks else _serve(loaded, words[-1])
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
    except (OSError, UnicodeDecodeError, CannotStart) as error:
        print(f"meshproxy: {words[-1]}: {error}", file=sys.stderr)
    return 1


def _serve(loaded: Loaded, name: str) -> int:
    if loaded.missing:
        raise ConfigErrors(loaded.missing)
    for warning in loaded.warnings:
        logging.getLogger("meshproxy").warning("%s", warning)
    return serve(loaded.config, partial(_read_again, name))


def _read_again(name: str) -> LinkerConfig:
    """The configuration in the file *name* by now."""
    if name == "-":
        raise CannotStart("the configuration came from standard input, which has no more to say")
    return load(*_text_of(name))


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


def _text_of(name: str) -> tuple[str, str]:
    """The configuration called *name*, and what messages call it."""
    if name == "-":
        return sys.stdin.read(), "<stdin>"
    return Path(name).read_text("utf-8"), name
