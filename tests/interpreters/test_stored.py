"""Binding by a dtab that is kept elsewhere."""

from collections.abc import Generator
from contextlib import closing

import pytest

from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.interpreters.stored import StoredDtabInterpreter, read_dtabs, show_dtab
from meshproxy.metrics.instruments import Counter
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_NEG
from meshproxy.naming.delegation import route_to
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State, Var

INNER = DefaultInterpreter((), SystemNamers(lambda _host, _port: Var(ADDR_NEG)))
WEB = Path.parse("/svc/web")


def bound(state: State[object]) -> str:
    assert isinstance(state, Ok)
    assert isinstance(state.value, Leaf)
    shown: str = state.value.value.show()
    return shown


def test_the_stored_entries_come_first_so_the_others_win() -> None:
    stored: Var[State[Dtab]] = Var(PENDING)
    interpreter = StoredDtabInterpreter(stored, INNER)
    states: list[State[object]] = []
    close = interpreter.bind(Dtab.parse("/svc/web => /host"), WEB).observe(states.append)
    stored.set(Ok(Dtab.parse("/svc/web => /$/inet/a/1 ; /host => /$/inet/b/1")))
    stored.set(Ok(Dtab.parse("/host => /$/inet/c/1")))
    stored.set(Failed(ValueError("no table")))
    close()
    assert states[0] == PENDING
    assert [bound(state) for state in states[1:3]] == ["/$/inet/b/1", "/$/inet/c/1"]
    assert states[3] == Failed(ValueError("no table"))


def test_a_way_goes_through_both_tables() -> None:
    stored: Var[State[Dtab]] = Var(PENDING)
    interpreter = StoredDtabInterpreter(stored, INNER)
    delegation = interpreter.delegate(Dtab.parse("/svc => /host"), WEB)
    assert delegation.sample() == PENDING
    stored.set(Ok(Dtab.parse("/host/web => /$/inet/b/1")))
    state = delegation.sample()
    assert isinstance(state, Ok)
    route = route_to(Path.parse("/$/inet/b/1"), state.value.root)
    assert [hop.name.show() for hop in route] == ["/svc/web", "/host/web", "/$/inet/b/1"]


def fail(error: ValueError) -> State[Dtab]:
    return Failed(error)


@pytest.mark.parametrize(
    ("texts", "expected", "unreadable"),
    [
        ([None], [""], 0),
        ([b""], [""], 0),
        (["/a=>/b"], ["/a=>/b"], 0),
        ([b"/a => /b", b"/c => /d", None], ["/a=>/b", "/c=>/d", ""], 0),
        ([b"/a => /b", b"=>", b"\xff"], ["/a=>/b", "/a=>/b", "/a=>/b"], 2),
        ([b"=>", b"/a => /b"], [None, "/a=>/b"], 1),
    ],
)
def test_a_text_that_does_not_parse_leaves_the_table(
    texts: list[str | bytes | None], expected: list[str | None], unreadable: int
) -> None:
    def source() -> Generator[str | bytes | None, None, None]:
        yield from texts

    counter = Counter()
    states = list(read_dtabs(source(), fail, counter))
    assert [state.value.show() if isinstance(state, Ok) else None for state in states] == expected
    assert counter.value == unreadable


def test_closing_the_tables_closes_the_texts() -> None:
    ended: list[bool] = []

    def source() -> Generator[str | None, None, None]:
        try:
            yield "/a => /b"
        finally:
            ended.append(True)

    with closing(read_dtabs(source(), fail, Counter())) as tables:
        next(tables)
    assert ended == [True]


def test_a_table_is_shown_or_why_there_is_none() -> None:
    assert show_dtab(Ok(Dtab.parse("/a => /b"))) == "/a=>/b"
    assert "no table" in show_dtab(Failed(ValueError("no table")))
