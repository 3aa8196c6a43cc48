"""The `io.l5d.fs` interpreter: a dtab in a watched file, followed by the router's own.

linkerd: interpreter/fs/src/main/scala/io/buoyant/interpreter/fs/FsInterpreterConfig.scala.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, ClassVar

from meshproxy.config.bases import InterpreterConfig, InterpreterDeps
from meshproxy.config.dtabs import BadEntries, parse_entries
from meshproxy.config.errors import Problem, Severity
from meshproxy.config.files import RegularFile
from meshproxy.config.model import key
from meshproxy.config.places import Text
from meshproxy.discovery.parsed_files import ParsedFiles
from meshproxy.errors import BindingFailed
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.interpreters.stored import StoredDtabInterpreter
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.followed import Followed
from meshproxy.var import Failed, State


class FsInterpreter(StoredDtabInterpreter):
    """Binds by the table in *dtab_file*, which is watched; no name while that is missing or bad."""

    def __init__(self, dtab_file: str, inner: DefaultInterpreter) -> None:
        self._files = ParsedFiles(_parse, _shown)

        def found(state: State[Dtab]) -> State[Dtab]:
            if isinstance(state, Failed) and isinstance(state.error, ValueError):
                return Failed(BindingFailed(f"{dtab_file}: {state.error}"))
            return state

        super().__init__(self._files.follow(dtab_file).map(found), inner)

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of the file, if it is in use."""
        return self._files.describe()

    def followed(self) -> Iterator[Followed]:
        """Returns the same in brief."""
        return self._files.followed()


def _parse(text: bytes | None) -> Dtab:
    if text is None:
        raise ValueError("there is no such file")
    return Dtab.parse(text.decode("utf-8"))


def _shown(dtab: Dtab) -> list[str]:
    return [entry.show() for entry in dtab]


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

    def build(self, deps: InterpreterDeps) -> FsInterpreter:
        """Builds the interpreter."""
        inner = DefaultInterpreter(deps.namers, deps.system, deps.transformers)
        return FsInterpreter(self.dtab_file, inner)
