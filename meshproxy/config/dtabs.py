"""Parses dtabs of a configuration: finds the place of each entry, and every wrong entry."""

import re
from typing import Final, NamedTuple

from meshproxy.naming.dtab import Dentry, read_entry
from meshproxy.naming.parser import ParseError, Parser
from meshproxy.naming.path import Path

MAX_FAULTS: Final = 20
"""Most wrong entries of one dtab that are reported."""

_TO_SEPARATOR: Final = re.compile(r"(?:(?<!\S)#[^\n]*|[^;])*+;")
_TRAILING: Final = "end of input expected"
_BEFORE: Final = 60
_AFTER: Final = 20


class DtabEntry(NamedTuple):
    """An entry, and the index of its first character."""

    at: int
    dentry: Dentry


class Fault(NamedTuple):
    """A fault in the entry whose first character is at the index *at*."""

    at: int
    what: str


class BadEntries(ValueError):
    """A text is not a dtab; `faults` has its wrong entries in order."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(", ".join(fault.what for fault in faults))
        self.faults = faults


def parse_entries(text: str) -> list[DtabEntry]:
    """Reads the entries of a dtab. Raises BadEntries."""
    entries: list[DtabEntry] = []
    faults: list[Fault] = []
    parser = Parser(text, Path)
    parser.skip()
    while not parser.at_end and len(faults) < MAX_FAULTS:
        at = parser.at
        try:
            entries.append(DtabEntry(at, read_entry(parser)))
            parser.skip()
            if not parser.maybe(";"):
                parser.end()
        except ParseError as error:
            faults.append(_fault(text, at, error))
            parser = Parser(text, Path, _resume(text, error))
        parser.skip()
    if faults:
        raise BadEntries(faults)
    return entries


def _fault(text: str, at: int, error: ParseError) -> Fault:
    remedy = "write an entry such as /svc => /srv"
    if error.what.startswith(_TRAILING):
        at, remedy = error.at, "write `;` before it"
    before = _in_one_line(text[at : error.at])[-_BEFORE:]
    after = _in_one_line(text[error.at + 1 :].partition("\n")[0])[:_AFTER]
    found = f"{before}[{text[error.at : error.at + 1]}]{after}"
    return Fault(at, f"{error.what} at '{found}'; {remedy}")


def _resume(text: str, error: ParseError) -> int:
    """Returns where the entry after the one of *error* begins."""
    if error.what.startswith(_TRAILING) and text.startswith("/", error.at):
        return error.at
    separator = _TO_SEPARATOR.match(text, error.at)
    return separator.end() if separator else len(text)


def _in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)
