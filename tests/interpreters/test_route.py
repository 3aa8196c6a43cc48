"""The way of a name to what it is bound to, rule by rule."""

from pathlib import Path as FilePath

import pytest

from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.interpreters.fs import dtab_in
from meshproxy.interpreters.stored import StoredDtabInterpreter
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_PENDING
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Lookup, Route
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State, Var

NAMES = Path.parse("/#/names")


class Names:
    """A namer that knows `a`, is still looking for `slow`, and cannot find `bad`."""

    prefix = NAMES

    def lookup(self, path: Path) -> Lookup:
        states: dict[Path, State] = {  # type: ignore[type-arg]
            Path.of("a"): Ok(Leaf(Bound(NAMES + Path.of("a"), Var(ADDR_PENDING)))),
            Path.of("slow"): PENDING,
            Path.of("bad"): Failed(ValueError("bad")),
            Path.of("b", "a"): Ok(Leaf(Bound(NAMES + Path.of("a"), Var(ADDR_PENDING)))),
            Path.of("alias"): Ok(Leaf(NAMES + Path.of("a"))),
        }
        return Var(states[path]) if path in states else NEG


INTERPRETER = DefaultInterpreter([Names()], SystemNamers(lambda _host, _port: Var(ADDR_PENDING)))


def shown(route: Route) -> list[str]:
    return [f"{name.show()} {entry.show() if entry else '-'}" for name, entry in route]


def route(dtab: str, path: str, wanted: str = "/#/names/a") -> list[str]:
    return shown(INTERPRETER.route(Dtab.parse(dtab), Path.parse(path), Path.parse(wanted)))


@pytest.mark.parametrize(
    ("dtab", "path", "steps"),
    [
        ("", "/#/names/a", ["/#/names/a -"]),
        ("/svc => /#/names", "/svc/a", ["/svc/a -", "/#/names/a /svc=>/#/names"]),
        (
            "/srv => /#/names ; /svc/* => /srv",
            "/svc/x/a",
            ["/svc/x/a -", "/srv/a /svc/*=>/srv", "/#/names/a /srv=>/#/names"],
        ),
        (
            "/svc => /#/names ; /svc => /nowhere ; /svc => /#/names/slow | /#/names/bad | ~",
            "/svc/a",
            ["/svc/a -", "/#/names/a /svc=>/#/names"],
        ),
        (
            "/svc => 1 * /#/names/c & 2 * /#/names",
            "/svc/a",
            ["/svc/a -", "/#/names/a /svc=>/#/names/c & 2.00*/#/names"],
        ),
        (
            "/srv => /#/names ; /svc => /$/io.buoyant.porthostPfx/srv",
            "/svc/a:b",
            [
                "/svc/a:b -",
                "/$/io.buoyant.porthostPfx/srv/a:b /svc=>/$/io.buoyant.porthostPfx/srv",
                "/srv/b/a -",
                "/#/names/b/a /srv=>/#/names",
            ],
        ),
        ("/svc => /#/names", "/svc/alias", ["/svc/alias -", "/#/names/alias /svc=>/#/names",
                                            "/#/names/a -"]),
        ("/svc => /#/names", "/svc/unknown", []),
        ("/svc => /svc", "/svc/a", []),
        ("/svc => /svc/x | /svc/y", "/svc/a", []),
    ],
)  # fmt: skip
def test_every_rule_on_the_way_is_named(dtab: str, path: str, steps: list[str]) -> None:
    assert route(dtab, path) == steps


def test_names_of_the_system_are_asked_too() -> None:
    steps = route("/srv => /$/inet/127.1", "/srv/80", "/$/inet/127.1/80")
    assert steps == ["/srv/80 -", "/$/inet/127.1/80 /srv=>/$/inet/127.1"]


def test_what_transformers_put_before_the_name_does_not_matter() -> None:
    assert route("/svc => /#/names", "/svc/a", "/%/io.l5d.port/80/#/names/a") != []
    assert route("/svc => /#/names", "/svc/a", "/#/names/b") == []


def test_the_table_in_a_file_counts_as_well(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    interpreter = StoredDtabInterpreter(dtab_in(str(file)), INTERPRETER)
    asked = (Dtab.parse("/svc => /srv"), Path.parse("/svc/a"), Path.parse("/#/names/a"))
    assert interpreter.route(*asked) == ()
    file.write_text("/srv => /#/names")
    assert shown(interpreter.route(*asked))[-1] == "/#/names/a /srv=>/#/names"
