"""The `io.l5d.fs` interpreter on a real file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

from gevent.queue import Queue

from meshproxy.config.errors import Severity
from meshproxy.config.files import RegularFile
from meshproxy.interpreters.fs import FsInterpreter, FsInterpreterConfig
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_NEG
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Ok, Var
from tests.kit.deps import interpreter_deps
from tests.kit.wire import WAIT_S

WEB = Path.parse("/svc/web")


def interpreter_of(file: FilePath) -> FsInterpreter:
    deps = interpreter_deps(system=SystemNamers(lambda _host, _port: Var(ADDR_NEG)))
    return FsInterpreterConfig(dtab_file=RegularFile(str(file))).build(deps)


@contextmanager
def binding(file: FilePath, dtab: str = "") -> Iterator[Queue]:
    states: Queue = Queue()
    close = interpreter_of(file).bind(Dtab.parse(dtab), WEB).observe(states.put)
    try:
        yield states
    finally:
        close()


def bound_id(state: Any) -> str:
    assert isinstance(state, Ok), state
    assert isinstance(state.value, Leaf), state
    shown: str = state.value.value.id.show()
    return shown


def replace(file: FilePath, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_names_are_bound_by_the_file(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    file.write_text("# comment\n/svc/web => /$/inet/a/1 ;\n")
    with binding(file) as states:
        assert bound_id(states.get(timeout=WAIT_S)) == "/$/inet/a/1"


def test_the_routers_entries_win(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    file.write_text("/svc/web => /$/inet/a/1; /host/web => /$/inet/h/1")
    with binding(file, "/svc/web => /$/inet/b/2") as states:
        assert bound_id(states.get(timeout=WAIT_S)) == "/$/inet/b/2"
    with binding(file, "/svc => /host") as states:
        assert bound_id(states.get(timeout=WAIT_S)) == "/$/inet/h/1"


def test_a_change_is_followed(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    file.write_text("/svc/web => /$/inet/a/1")
    with binding(file) as states:
        assert bound_id(states.get(timeout=WAIT_S)) == "/$/inet/a/1"
        replace(file, "/svc/web => /$/inet/b/2")
        assert bound_id(states.get(timeout=WAIT_S)) == "/$/inet/b/2"
        replace(file, "")
        assert states.get(timeout=WAIT_S) == Ok(NEG)


def test_a_text_that_does_not_parse_is_an_error_until_it_is_mended(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    file.write_text("/svc/web => /$/inet/a/1")
    with binding(file) as states:
        assert bound_id(states.get(timeout=WAIT_S)) == "/$/inet/a/1"
        replace(file, "/svc/web => nonsense")
        failed = states.get(timeout=WAIT_S)
        assert isinstance(failed, Failed)
        assert str(failed.error).startswith(f"{file}: ")
        replace(file, "/svc/web => /$/inet/b/2")
        assert bound_id(states.get(timeout=WAIT_S)) == "/$/inet/b/2"


def test_a_missing_file_is_an_error(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    file.write_text("/svc/web => /$/inet/a/1")
    with binding(file) as states:
        states.get(timeout=WAIT_S)
        file.unlink()
        failed = states.get(timeout=WAIT_S)
        assert isinstance(failed, Failed)
        assert str(failed.error) == f"{file}: there is no such file"


def test_bytes_that_are_no_text_are_an_error(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    file.write_bytes(b"\xff")
    with binding(file) as states:
        assert isinstance(states.get(timeout=WAIT_S), Failed)


def test_what_is_wrong_in_the_file_is_warned_of_with_its_places(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    config = FsInterpreterConfig(dtab_file=RegularFile(str(file)))
    assert list(config.check()) == []
    file.write_text("/svc => /srv ;\n")
    assert list(config.check()) == []
    file.write_text("/svc => srv ;\n  /srv = /x ;\n")
    first, second = config.check()
    assert (first.key, first.severity) == ("dtabFile", Severity.WARNING)
    assert first.what.startswith(f"every name fails: {file}:1:1: simple expected but 's' found")
    assert second.what.startswith(f"every name fails: {file}:2:3: '>' expected but ' ' found")
    file.write_bytes(b"/svc => /\xff")
    (problem,) = config.check()
    assert f"{file} is not UTF-8" in problem.what


def test_its_file_is_shown(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    file.write_text("/svc => /srv; /srv => /$/inet/a/1")
    interpreter = interpreter_of(file)
    close = interpreter.bind(Dtab(), WEB).observe(lambda _: None)
    (row,) = interpreter.followed()
    assert (row.name, row.answer) == (str(file), "2 entries")
    assert interpreter.describe()[str(file)]["state"]["value"] == [
        "/svc=>/srv",
        "/srv=>/$/inet/a/1",
    ]
    close()
    assert interpreter.describe() == {}
