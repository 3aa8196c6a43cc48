"""The commands, and what each takes: everything but what they do.

What the command NAME does is `run` of the module meshproxy.cli.NAME, with an underscore for each
hyphen. It is imported when the command runs, so `--help` and `--version` wait for none of them.
"""

from typing import Final, NamedTuple

from meshproxy.cli import shipped


class Option(NamedTuple):
    """An option; a flag unless its value has a name."""

    names: tuple[str, ...]
    """As they are typed, such as `-v` and `--verbose`."""
    help: str
    value: str | None = None
    choices: tuple[str, ...] = ()
    """What the value may be; anything if empty."""
    default: str | None = None


class Operand(NamedTuple):
    """A word that a command takes, by its place."""

    name: str
    help: str
    choices: tuple[str, ...] = ()
    """What it may be; the name of a file if empty."""
    is_required: bool = True


class Command(NamedTuple):
    """What the parser, the help and the completion know of a command."""

    summary: str
    """A line for the help."""
    operands: tuple[Operand, ...] = ()
    options: tuple[Option, ...] = ()
    is_patched: bool = True
    """Whether gevent replaces the blocking parts of the standard library before it is imported."""


SERVE: Final = "serve"
"""The command of a command line without the name of one."""
_CONFIG: Final = Operand("CONFIG", "a file, or - for standard input")
_LOG: Final = (
    Option(
        ("--log-level",),
        "log from this level on: debug, info (the default), warning, error",
        value="LEVEL",
        choices=("debug", "info", "warning", "error"),
        default="info",
    ),
    Option(
        ("--log-format",),
        "log as text (the default), or as json: an object per line",
        value="FORMAT",
        choices=("text", "json"),
        default="text",
    ),
)
"""Where and how the process logs, for commands that run parts of the proxy."""
COMMANDS: Final = {
    SERVE: Command(
        "serve CONFIG, or conf/laptop.yaml without one, until SIGTERM or SIGINT",
        (_CONFIG._replace(is_required=False),),
        (
            *_LOG,
            Option(
                ("--print-config",),
                "print a configuration that is built in, such as egress, and end",
                value="NAME",
                choices=shipped.names(),
            ),
            Option(("--version",), "print the version and end"),
        ),
    ),
    "check": Command(
        "say `ok`, or every error as file:line:column: path: what; warnings too",
        (_CONFIG,),
        (
            Option(("-v", "--verbose"), "say the limits in force as well"),
            Option(
                ("--allow-missing-files",),
                "for a configuration that another machine serves: warn of files, credentials and "
                "addresses that are not here",
            ),
            *_LOG,
        ),
    ),
    "completion": Command(
        "print a script that completes command lines in SHELL",
        (Operand("SHELL", "the shell it is for", choices=("bash", "zsh", "fish")),),
        is_patched=False,
    ),
}
