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
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import BoundTree, Explainer, Interpreter, Route
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Failed, Ok, State, Var


class FsInterpreter:
    """Binds with the dtab in a file and the router's, whose entries come later and so win.

    While the file is missing or does not parse, every name fails.
    """

    def __init__(self, dtab_file: str, inner: Interpreter) -> None:
        self._dtab_file = dtab_file
        self._inner = inner
        self._dtab: Activity[Dtab] = contents(dtab_file).map(self._parse)

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        """Follows *path* through the file's dtab and *dtab*, and again when the file changes."""

        def follow(state: State[Dtab]) -> Activity[BoundTree]:
            if isinstance(state, Ok):
                return self._inner.bind(state.value + dtab, path)
            return Var(state)

        return self._dtab.flat_map(follow)

    def route(self, dtab: Dtab, path: Path, bound_id: Path) -> Route:
        """Returns the way from *path* to *bound_id* through the file's dtab and *dtab*."""
        state = self._dtab.sample()
        if isinstance(state, Ok) and isinstance(self._inner, Explainer):
            return self._inner.route(state.value + dtab, path, bound_id)
        return ()

    def _parse(self, state: State[bytes | None]) -> State[Dtab]:
        if not isinstance(state, Ok):
            return state
        if state.value is None:
            return Failed(BindingFailed(f"{self._dtab_file} is missing"))
        try:
            return Ok(Dtab.parse(state.value.decode("utf-8")))
        except ValueError as error:
            return Failed(BindingFailed(f"{self._dtab_file}: {error}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class FsInterpreterConfig(InterpreterConfig):
    """Binds names by a dtab in a watched file, followed by the router's dtab."""

    kind: ClassVar[str] = "io.l5d.fs"
    dtab_file: RegularFile = key(doc="The file with the dtab.")

    def check(self) -> Iterable[Problem]:
        """What is wrong now in the file, which may change, with its places."""
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
        """Returns the interpreter."""
        inner = DefaultInterpreter(deps.namers, deps.system, deps.transformers)
        return FsInterpreter(self.dtab_file, inner)
