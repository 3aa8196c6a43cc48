"""`io.l5d.rewrite`: replaces a configured pattern by a name.

linkerd: namer/core/src/main/scala/io/buoyant/namer/RewritingNamer*.scala.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.bases import NamerConfig, NamerDeps
from meshproxy.config.errors import Problem, Severity
from meshproxy.config.model import key
from meshproxy.errors import BindingFailed
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.parser import ParseError
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Var


@dataclass(frozen=True, slots=True)
class RewriteNamer:
    """Replaces names that begin with *pattern* by *name*, dropping the rest."""

    prefix: Path
    pattern: PathMatcher
    name: str

    def lookup(self, path: Path) -> Lookup:
        """Returns the substituted name; a variable without a value makes it a failure."""
        captures = self.pattern.match(path)
        if captures is None:
            return NEG
        try:
            return Leaf(Path.parse(PathMatcher.substitute(self.name, captures)))
        except ParseError as error:
            return Var(Failed(BindingFailed(str(error))))


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteNamerConfig(NamerConfig):
    """Replaces names that begin with `pattern` by another name."""

    kind: ClassVar[str] = "io.l5d.rewrite"
    prefix: Path = key(doc="Handles the names that begin with `/#` and this.")
    pattern: PathMatcher = key(doc="The beginning of the name, after the prefix.")
    name: str = key(doc="The name in its place; `{variables}` of the pattern are replaced.")

    def check(self) -> Iterable[Problem]:
        """Requires a valid name whatever its variables stand for."""
        for variable in self.pattern.unknown_in(self.name):
            what = f"{{{variable}}} is not captured by pattern, so every name fails here"
            yield Problem(what, "name", Severity.WARNING)
        known = dict.fromkeys(self.pattern.captures, "x")
        try:
            Path.parse(PathMatcher.substitute(self.name, known).replace("{", "x").replace("}", "x"))
        except ParseError as error:
            what = f"never is a name, so every name fails here: {error.what}"
            yield Problem(what, "name", Severity.WARNING)

    def build(self, deps: NamerDeps) -> RewriteNamer:
        """Returns the namer."""
        return RewriteNamer(deps.prefix, self.pattern, self.name)
