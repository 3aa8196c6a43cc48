"""The `default` interpreter: the dtab first, then the configured namers, then `/$/`.

A name is bound in one walk (`walk.py`), repeated whenever a live answer that it used has changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.bases import InterpreterConfig, InterpreterDeps, SystemNames
from meshproxy.interpreters.live import follow
from meshproxy.interpreters.walk import NamerSet, Walk
from meshproxy.naming.delegation import Delegation
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import BoundTree, Namer, Transformer
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Ok


class DefaultInterpreter:
    """Binds names by a table and namers; *namers* are in the order of the configuration."""

    def __init__(
        self,
        namers: Sequence[Namer],
        system: SystemNames,
        transformers: Sequence[Transformer] = (),
    ) -> None:
        self._namers = NamerSet(tuple(reversed(namers)), system, tuple(transformers))

    def bind(self, dtab: Dtab, path: Path) -> Activity[BoundTree]:
        """Follows *path* to its end; fails after 100 lookups or 1000 nodes of the tree."""
        return follow(lambda answers: Walk(self._namers, dtab, answers).run(path).state)

    def delegate(self, dtab: Dtab, path: Path) -> Activity[Delegation]:
        """Returns every step of `bind`, and those of the alternatives behind what it takes."""
        return follow(lambda answers: Ok(Walk(self._namers, dtab, answers, is_full=True).run(path)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultInterpreterConfig(InterpreterConfig):
    """Binds names by the router's dtab and the configured namers."""

    kind: ClassVar[str] = "default"

    def build(self, deps: InterpreterDeps) -> DefaultInterpreter:
        """Returns the interpreter."""
        return DefaultInterpreter(deps.namers, deps.system, deps.transformers)
