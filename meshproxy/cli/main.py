"""Reads the command line and runs its command (linkerd: linkerd/main/.../Linkerd.scala)."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from meshproxy import __version__
from meshproxy.cli import shipped
from meshproxy.cli.commands import COMMANDS, SERVE, Command
from meshproxy.runtime import patched

_DESCRIPTION: Final = """\
An HTTP proxy that names requests, resolves the names through a delegation table
(dtab) and balances them over what it finds: Linkerd 1.x configuration files, on
gevent."""

_EPILOG: Final = """\
CONFIG is a YAML file, a JSON file (its first character is `{`), or `-` for
standard input. Logs go to standard error. The admin pages are on
http://127.0.0.1:9990 unless the file says otherwise.

SIGHUP reads the file again; a configuration with errors changes nothing.

exit status: 0 after a stop or `ok`; 1 for a configuration that cannot be served, for
problems of a running proxy, and after a second SIGTERM or SIGINT; 2 for a command
line that cannot be read.

example:
  meshproxy conf/egress.yaml
  curl -H 'Host: example.com:443' http://127.0.0.1:4140/"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command in *arguments*, by default those of the process. Returns the exit status.

    Raises SystemExit after the help, and with status 2 for an invalid command line.
    """
    name, others = _command_of(sys.argv[1:] if arguments is None else arguments)
    command = COMMANDS[name]
    given, unknown = _parser(name, command).parse_known_intermixed_args(others)
    if unknown:
        mistakes = import_module(f"{__package__}.mistakes")
        print(f"meshproxy: {mistakes.in_words(name, given, unknown[0])}", file=sys.stderr)
        return 2
    if name == SERVE and (text := _text_asked_for(given)) is not None:
        print(text)
        return 0
    load = patched.load if command.is_patched else import_module
    status: int = load(f"{__package__}.{name.replace('-', '_')}").run(given)
    return status


def _text_asked_for(given: argparse.Namespace) -> str | None:
    """Returns the text to print instead of serving, or None."""
    if given.version:
        return f"meshproxy {__version__}"
    if given.print_config is not None:
        return shipped.file(given.print_config).read_text("utf-8").removesuffix("\n")
    return None


def _command_of(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Returns the command, and the arguments without its name."""
    takes_value = {
        name
        for command in COMMANDS.values()
        for option in command.options
        for name in option.names
        if option.value is not None
    }
    words = iter(enumerate(arguments))
    for at, word in words:
        if word in takes_value:
            next(words, None)
        elif word == "-" or not word.startswith("-"):
            if word in COMMANDS:
                return word, [*arguments[:at], *arguments[at + 1 :]]
            break
        elif word == "--":
            break
    return SERVE, list(arguments)


def _parser(name: str, command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="meshproxy" if name == SERVE else f"meshproxy {name}",
        description=_DESCRIPTION if name == SERVE else command.summary,
        epilog=f"{_summaries()}\n\n{_EPILOG}" if name == SERVE else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for operand in command.operands:
        parser.add_argument(
            operand.name.lower(),
            metavar=operand.name,
            nargs="*" if operand.is_many else None if operand.is_required else "?",
            choices=operand.choices or None,
            help=operand.help,
        )
    for option in command.options:
        if option.value is None:
            parser.add_argument(*option.names, action="store_true", help=option.help)
        else:
            parser.add_argument(
                *option.names,
                action="append" if option.is_many else "store",
                metavar=option.value,
                choices=option.choices or None,
                default=option.default,
                help=option.help,
            )
    return parser


def _summaries() -> str:
    lines = ["commands:"]
    for name, command in COMMANDS.items():
        words = ["meshproxy", *([] if name == SERVE else [name])]
        words += [
            one.name if one.is_required else f"[{one.name}{'...' if one.is_many else ''}]"
            for one in command.operands
        ]
        lines += [f"  {' '.join(words)}", f"      {command.summary}"]
    return "\n".join(lines)
