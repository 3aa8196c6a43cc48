"""The seams of naming fit what stands on both sides of them."""

from typing import get_type_hints

from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.namers.rewrite import RewriteNamer
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_PENDING
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.namer import Interpreter, Namer
from meshproxy.naming.path import Path
from meshproxy.var import Ok, Var


def test_a_namer_and_an_interpreter_meet_in_the_protocols() -> None:
    namer: Namer = RewriteNamer(Path.of("#", "r"), PathMatcher.parse("/{x}"), "/$/nil/{x}")
    system = SystemNamers(lambda _host, _port: Var(ADDR_PENDING))
    interpreter: Interpreter = DefaultInterpreter([namer], system)
    state = interpreter.bind(Dtab(), namer.prefix + Path.of("a")).sample()
    assert isinstance(state, Ok)
    assert state.value.show() == "$"


def test_an_interpreter_has_one_question() -> None:
    assert set(get_type_hints(Interpreter.bind)) == {"dtab", "path", "return"}
