"""`meshproxy completion SHELL`: a script that completes meshproxy's command line in that shell."""

from argparse import Namespace
from collections.abc import Iterable, Iterator
from typing import Final

from meshproxy.cli.commands import COMMANDS, SERVE, Option

_BASH: Final = r"""_meshproxy() {
    local command= option= operands=0 words= files= word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $option,$word in
            ?*,=) ;;
            ?*,*) option= ;;
            @valued@) option=$word ;;
            ,-?*) ;;
            @named@)
                if [[ $command$operands = 0 ]]; then command=$word; else ((++operands)); fi ;;
            *) ((++operands)) ;;
        esac
    done
    word=${COMP_WORDS[COMP_CWORD]}
    if [[ $option && $word = '=' ]]; then word=; fi
    if [[ $command$operands = 0 ]]; then words='@commands@'; fi
    case ${command:=@serve@},$option,$operands,$word in
@arms@
    esac
    mapfile -t COMPREPLY < <(compgen ${files:+-f} -W "$words" -- "$word")
}
complete -o filenames -F _meshproxy meshproxy"""

_ZSH: Final = r"""#compdef meshproxy
_meshproxy() {
    local command=@serve@ at=${words[(i)@named@]}
    if ((at < CURRENT)); then
        command=$words[at]
        words[at]=()
        ((CURRENT--))
    fi
    case $command in
@arms@
    esac
}
_meshproxy_first() {
    local commands=(@commands@)
    _describe command commands
    _files
}
if [[ $funcstack[1] = _meshproxy ]]; then _meshproxy "$@"; else compdef _meshproxy meshproxy; fi"""

_HELP: Final = Option(("-h", "--help"), "print the help and end")


def run(given: Namespace) -> int:
    """Prints the script. Returns the exit status."""
    script = {"bash": bash, "zsh": zsh, "fish": fish}[given.shell]
    print(script())
    return 0


def bash() -> str:
    """Returns the script for bash 4 and later, which needs nothing else."""
    return _filled(
        _BASH,
        valued="|".join(dict.fromkeys(f",{name}" for _, name, _ in _values())),
        named="|".join(f",{name}" for name in COMMANDS),
        commands=" ".join(COMMANDS),
        arms="\n".join(f"        {pattern}) {action} ;;" for pattern, action in _bash_arms()),
    )


def _bash_arms() -> Iterator[tuple[str, str]]:
    for command, name, choices in _values():
        yield f"{command},{name},*", _bash_choice(choices)
    for command, known in COMMANDS.items():
        options = [name for option in (*known.options, _HELP) for name in option.names]
        yield f"{command},,*,-*", _bash_choice(options)
        for at, operand in enumerate(known.operands):
            yield f"{command},,{at},*", _bash_choice(operand.choices)


def _bash_choice(choices: Iterable[str]) -> str:
    words = " ".join(choices)
    return f"words={_quoted(words)}" if words else "files=1"


def zsh() -> str:
    """Returns the script for zsh with its completion system, to be evaluated or put into fpath."""
    return _filled(
        _ZSH,
        named="(" + "|".join(COMMANDS) + ")",
        commands=" ".join(_quoted(f"{name}:{one.summary}") for name, one in COMMANDS.items()),
        arms="\n".join(
            f"        {name}) _arguments -S {' '.join(map(_quoted, _zsh_specs(name)))} ;;"
            for name in COMMANDS
        ),
    )


def _zsh_specs(command: str) -> Iterator[str]:
    """Yields the arguments of *command* as specs of zsh's _arguments."""
    for option in (*COMMANDS[command].options, _HELP):
        others = f"({' '.join(option.names)})"
        for name in option.names:
            value = f":{option.value}:{_zsh_choice(option.choices)}" if option.value else ""
            sign = "=" if option.value and name.startswith("--") else ""
            yield f"{others}{name}{sign}[{_escaped(option.help, '[]:')}]{value}"
    for at, operand in enumerate(COMMANDS[command].operands, 1):
        is_first = command == SERVE and at == 1
        action = "_meshproxy_first" if is_first else _zsh_choice(operand.choices)
        yield f"{at}:{operand.name}:{action}"


def _zsh_choice(choices: Iterable[str]) -> str:
    words = " ".join(choices)
    return f"({words})" if words else "_files"


def fish() -> str:
    """Returns the script for fish 3 and later."""
    none = f"not __fish_seen_subcommand_from {' '.join(COMMANDS)}"
    lines = [_fish(none, f"-a {name}", command.summary) for name, command in COMMANDS.items()]
    for name, command in COMMANDS.items():
        here = f"__fish_seen_subcommand_from {name}"
        if name == SERVE:
            here = f"{none}; or {here}"
        for option in (*command.options, _HELP):
            names = " ".join(
                f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in option.names
            )
            lines.append(_fish(here, names + _fish_value(option), option.help))
        lines += [
            _fish(here, f"-f -a {_quoted(' '.join(operand.choices))}", operand.help)
            for operand in command.operands
            if operand.choices
        ]
    return "\n".join(lines)


def _fish(condition: str, what: str, description: str) -> str:
    return f"complete -c meshproxy -n {_quoted(condition)} {what} -d {_quoted(description)}"


def _fish_value(option: Option) -> str:
    if option.value is None:
        return ""
    return f" -x -a {_quoted(' '.join(option.choices))}" if option.choices else " -r -F"


def _values() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yields every command, each of its options with a value, and the values allowed."""
    for command, known in COMMANDS.items():
        for option in known.options:
            if option.value is not None:
                yield from ((command, name, option.choices) for name in option.names)


def _filled(script: str, **parts: str) -> str:
    for name, part in {"serve": SERVE, **parts}.items():
        script = script.replace(f"@{name}@", part)
    return script


def _quoted(text: str) -> str:
    """Returns *text* as one word in any of the three shells."""
    return "'" + text.replace("'", "'\\''") + "'"


def _escaped(text: str, characters: str) -> str:
    return "".join(f"\\{one}" if one in characters else one for one in text)
