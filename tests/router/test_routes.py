"""How a name came to its client, and why it came to none."""

from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.router.routes import Routes
from meshproxy.var import Activity, Ok, Var
from tests.kit.deps import Literals
from tests.kit.messages import request

SOMEWHERE = Var(AddrBound(frozenset({Address("10.0.0.1", 80)})))


class Files:
    """A namer that knows one name, and counts the questions."""

    prefix = Path.parse("/#/fs")

    def __init__(self) -> None:
        self.asked = 0

    def lookup(self, path: Path) -> Lookup:
        self.asked += 1
        found = path == Path.of("web")
        return Leaf(Bound(self.prefix + path, SOMEWHERE)) if found else NEG


class Mute:
    """An interpreter that cannot tell its steps."""

    def bind(self, dtab: Dtab, path: Path) -> Activity[NameTree[Bound]]:
        del dtab, path
        return Var(Ok(NEG))


def routes(files: Files) -> Routes:
    system = SystemNamers(Literals().resolve)
    dtab = Dtab.parse("/fs => /#/fs ; /svc => /fs ; /svc/no => !")
    return Routes(DefaultInterpreter([files], system), dtab)


def test_the_names_of_a_request_go_from_the_logical_to_the_bound_one() -> None:
    files = Files()
    found = routes(files)
    asked = request()
    assert found.names(asked) == ()
    asked.dst = Path.parse("/svc/web")
    assert found.names(asked) == ("/svc/web",)
    asked.bound_id = Path.parse("/#/fs/web")
    assert found.names(asked) == ("/svc/web", "/fs/web", "/#/fs/web")
    once = files.asked
    assert found.names(asked) == ("/svc/web", "/fs/web", "/#/fs/web")
    assert files.asked == once
    found.forget()
    found.names(asked)
    assert files.asked > once


def test_what_a_transformer_or_a_mute_interpreter_binds_is_the_last_name() -> None:
    asked = request()
    asked.dst, asked.bound_id = Path.parse("/svc/web"), Path.parse("/%/x/#/fs/web")
    assert routes(Files()).names(asked)[-2:] == ("/#/fs/web", "/%/x/#/fs/web")
    mute = Routes(Mute(), Dtab())
    assert mute.names(asked) == ("/svc/web", "/%/x/#/fs/web")
    assert mute.why_nowhere(Dtab(), asked.dst) == ""


def test_every_end_of_a_name_that_leads_nowhere_is_told() -> None:
    found = routes(Files())
    assert found.why_nowhere(Dtab(), Path.parse("/svc/other")) == (
        "  /#/fs/other (/fs => /#/fs): /#/fs says: no such name\n"
    )
    assert "/svc/no (/svc/no => !): ended by !" in found.why_nowhere(Dtab(), Path.parse("/svc/no"))
    local = Dtab.parse("/svc => /nowhere")
    told = found.why_nowhere(local, Path.parse("/svc/web"))
    assert "/nowhere/web (/svc => /nowhere): no dtab entry and no namer has this name" in told


def test_only_so_many_ends_are_told() -> None:
    many = Dtab.parse("/svc => " + " | ".join(f"/n{number}" for number in range(12)))
    told = routes(Files()).why_nowhere(many, Path.parse("/svc/x"))
    assert told.count("\n") == 11
    assert told.endswith("  and 3 more\n")
