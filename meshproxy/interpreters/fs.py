"""The `io.l5d.fs` interpreter: a dtab in a watched file, followed by the router's own.

linkerd: interpreter/fs/src/main/scala/io/buoyant/interpreter/fs/FsInterpreterConfig.scala.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import ClassVar

from meshproxy.config.bases import InterpreterConfig, InterpreterDeps
from meshproxy.config.dtabs import BadEntries, parse_entries
from meshproxy.config.errors import Problem, Severity
from meshproxy.config.files import RegularFile
from meshproxy.config.model import key
from meshproxy.config.places import Text
from meshproxy.discovery.files import contents
from meshproxy.errors import BindingFailed
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.interpreters.stored import StoredDtabInterpreter
from meshproxy.naming.dtab import Dtab
from meshproxy.var import Activity, Failed, Ok, State


def dtab_in(dtab_file: str) -> Activity[Dtab]:
    """Returns the table in a file, which is watched; failed while that is missing or bad."""

    def parse(state: State[bytes | None]) -> State[Dtab]:
        if not isinstance(state, Ok):
            return state
        if state.value is None:
            return Failed(BindingFailed(f"{dtab_file} is missing"))
        try:
            return Ok(Dtab.parse(state.value.decode("utf-8")))
        except ValueError as error:
            return Failed(BindingFailed(f"{dtab_file}: {error}"))

    return contents(dtab_file).map(parse)


@dataclass(frozen=True, slots=True, kw_only=True)
class FsInterpreterConfig(InterpreterConfig):
    """Binds names by a dtab in a watched file, followed by the router's dtab."""

    kind: ClassVar[str] = "io.l5d.fs"
    dtab_file: RegularFile = key(doc="The file with the dtab.")

    def check(self) -> Iterable[Problem]:
        """Reports what is wrong in the file now, with its places; the file may change."""
        try:
            text = FilePath(self.dtab_file).read_text("utf-8")
        except OSError:  # told as missing
            return
        except ValueError as error:
            what = f"every name fails: {self.dtab_file} is not UTF-8: {error}"
            yield Problem(what, "dtabFile", Severity.WARNING)
            return
        try:
            parse_entries(text)
        except BadEntries as error:
            places = Text(text)
            for fault in error.faults:
                mark = places.at(fault.at)
                what = f"{self.dtab_file}:{mark.line}:{mark.column}: {fault.what}"
                yield Problem(f"every name fails: {what}", "dtabFile", Severity.WARNING)

    def build(self, deps: InterpreterDeps) -> StoredDtabInterpreter:
        """Builds the interpreter."""
        inner = DefaultInterpreter(deps.namers, deps.system, deps.transformers)
        return StoredDtabInterpreter(dtab_in(self.dtab_file), inner)
