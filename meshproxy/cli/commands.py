"""The commands and their arguments, without what they do.

The command NAME runs `run` of the module meshproxy.cli.NAME, with an underscore for each hyphen. It
is imported when the command runs, so that `--help` and `--version` need none of them.
"""

from typing import Final, NamedTuple

from meshproxy.cli import shipped


class Option(NamedTuple):
    """An option; a flag unless its value has a name."""

    names: tuple[str, ...]
    """The names as typed, such as `-v` and `--verbose`."""
    help: str
    value: str | None = None
    choices: tuple[str, ...] = ()
    """The values allowed; any if empty."""
    default: str | None = None
    is_many: bool = False
    """True if it may be repeated."""


class Operand(NamedTuple):
    """A positional argument of a command."""

    name: str
    help: str
    choices: tuple[str, ...] = ()
    """The values allowed; if empty, it is the name of a file."""
    is_required: bool = True
    is_many: bool = False
    """True for any number of them."""


class Command(NamedTuple):
    """What the parser, the help and the completion need of a command."""

    summary: str
    """A line for the help."""
    operands: tuple[Operand, ...] = ()
    options: tuple[Option, ...] = ()
    is_patched: bool = True
    """True if gevent replaces the blocking parts of the standard library before the import."""


SERVE: Final = "serve"
"""The command if a command line names none."""
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
"""Options of logging, for commands that run parts of the proxy."""
ADMIN: Final = "http://127.0.0.1:9990"
"""Where the admin pages are unless an option says otherwise."""
_ADMIN: Final = Option(
    ("--admin",), f"where its admin pages are; {ADMIN} if not given", value="URL"
)
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
            Option(("-v", "--verbose"), "print the limits in force as well"),
            Option(
                ("--allow-missing-files",),
                "for a configuration that another machine serves: warn of files, credentials and "
                "addresses that are not here",
            ),
            *_LOG,
        ),
    ),
    "explain": Command(
        "print where NAME, such as /svc/web, goes and why; status 0 if that is an endpoint",
        (
            _CONFIG._replace(is_required=False),
            Operand("NAME", "the name to look up", is_required=False, is_many=True),
        ),
        (
            Option(
                ("--request",),
                "a request to look up, such as 'GET http://web/a', instead of a name",
                value="REQUEST",
            ),
            Option(
                ("--header",),
                "a header field of it, such as 'l5d-dtab: /svc => /canary'; may be repeated",
                value="FIELD",
                is_many=True,
            ),
            Option(
                ("--admin",),
                f"ask the running proxy with these admin pages, such as {ADMIN}, not CONFIG",
                value="URL",
            ),
            Option(
                ("--all",),
                "print which NAMEs would go elsewhere under the configuration in FILE; without "
                "one, all known names; status 0 if none would",
                value="FILE",
            ),
            Option(("--router",), "the router by its label; the first if not given", value="LABEL"),
            Option(("--dtab",), "entries that come after those of the router", value="DTAB"),
            Option(("--json",), "print one object, the tree as in /delegator.json"),
        ),
    ),
    "status": Command(
        "ask a running proxy what is wrong; status 0 if nothing is",
        (),
        (_ADMIN._replace(default=ADMIN),),
        is_patched=False,
    ),
    "tap": Command(
        "print the requests of a running proxy as they end, until interrupted",
        (),
        (
            Option(
                ("--status",),
                "only these, such as 5xx or 404,503; none if the client left first",
                value="STATUS",
            ),
            Option(
                ("--name",),
                "only those whose logical or bound name is NAME or below it; without a slash, "
                "those with NAME in it",
                value="NAME",
            ),
            Option(("--slower-than",), "only those that took longer", value="MS"),
            Option(("--json",), "print an object a line, as in /requests.json"),
            _ADMIN._replace(default=ADMIN),
        ),
        is_patched=False,
    ),
    "completion": Command(
        "print a script that completes command lines in SHELL",
        (Operand("SHELL", "the shell it is for", choices=("bash", "zsh", "fish")),),
        is_patched=False,
    ),
}
