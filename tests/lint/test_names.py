"""Entries that cannot do what they are written for: all that is said of them is true."""

from collections.abc import Sequence
from pathlib import Path as FilePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.config.load import read
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.lint.kinds import answered
from meshproxy.lint.warnings import warnings_of
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_PENDING
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Ok, State, Var

NAMERS = """\
namers:
- {kind: io.l5d.k8s, prefix: /known}
- {kind: io.l5d.rewrite, prefix: /turn, pattern: "/{a}", name: "/srv/{a}"}
"""
FIRST_LINE = 10


def config(rules: Sequence[str], more: str = "", namers: str = NAMERS) -> str:
    lines = "".join(f"    {rule} ;\n" for rule in rules)
    head = f"routers:\n- protocol: http\n  servers: [{{port: 0}}]\n{more}  dtab: |\n"
    return namers + "#\n" * (FIRST_LINE - 1 - (namers + head).count("\n")) + head + lines


def told(*rules: str, more: str = "", namers: str = NAMERS) -> list[tuple[int, str]]:
    """Say what is warned of: numbers of rules, and texts."""
    every = warnings_of(read(config(rules, more, namers), "f"), {})
    warnings = [one for one in every if one.path == "routers[0].dtab"]
    assert {(one.file, one.mark.column) for one in warnings} <= {("f", 5)}
    return [(one.mark.line - FIRST_LINE, one.what) for one in warnings]


# --- names that never bind ---


@pytest.mark.parametrize(
    ("dst", "what"),
    [
        ("/#/knwon/x", "/#/knwon/x never binds, no namer has that prefix, did you mean /#/known?"),
        ("/#/known | /#/other", "/#/other never binds, no namer has that prefix"),
        (
            "/$/io.buoyant.portHostPfx/ph",
            "there is no such namer, did you mean io.buoyant.porthost",
        ),
        (
            "/$/nonsense",
            "/$/nonsense always fails, there is no such namer, known here: fail, fixed",
        ),
        ("/svv/x", "/svv/x leads nowhere, no entry begins so, did you mean /svc?"),
        ("/svc/other", "/svc/other leads nowhere, no entry begins so"),
    ],
)
def test_a_name_that_never_binds_is_told(dst: str, what: str) -> None:
    ((at, text),) = told(f"/svc/a => {dst}")
    assert (at, what in text) == (0, True)


@pytest.mark.parametrize(
    "dst",
    ["/#", "/#/known", "/#/turn", "/$", "/$/inet/a/80", "/$/nil", "/", "!", "~", "$", "/svc/a/b"],
)
def test_a_name_that_may_bind_is_not(dst: str) -> None:
    assert told(f"/svc/a => {dst}") == []


def test_an_entry_may_stand_before_a_namer() -> None:
    assert told("/#/other => /$/inet/a/80", "/svc => /#/other") == []
    assert told("/$/other => /$/inet/a/80", "/svc => /$/other") == []


def test_without_namers_there_is_none_to_suggest() -> None:
    assert told("/svc => /#/x", namers="") == [(0, "/#/x never binds, no namer has that prefix")]


# --- entries that nothing leads to ---


def test_an_entry_that_no_name_leads_to_is_told() -> None:
    rules = ("/host => /#/known", "/svc => /#/known", "/svc/a/b => /#/known")
    apart = ", except by a request's own l5d-dtab"
    assert told(*rules) == [
        (0, f"no name leads to /host{apart}"),
        (2, f"no name leads to /svc/a/b{apart}"),
    ]
    closed = "  servers: [{port: 0, clearContext: true}]\n"
    text = config(rules).replace("  servers: [{port: 0}]\n", closed)
    assert [one.what for one in warnings_of(read(text, "f"), {}) if "dtab" in one.path] == [
        "no name leads to /host",
        "no name leads to /svc/a/b",
    ]


@pytest.mark.parametrize(
    ("identifier", "prefix"),
    [
        ("{kind: io.l5d.header}", "/svc/a/b/c"),
        ("{kind: io.l5d.path, segments: 2}", "/svc/*/b"),
        ("{kind: io.l5d.methodAndHost}", "/svc/1.1/GET/a"),
        ("{kind: io.l5d.methodAndHost}", "/svc/1.0/GET"),
        ("{kind: io.l5d.static, path: /a/b}", "/svc/a/b"),
        ("[{kind: io.l5d.header.token}, {kind: io.l5d.static, path: /a/b}]", "/svc/a/b"),
        ("{kind: io.l5d.ingress}", "/svc/a/b/c"),
    ],
)
def test_identifiers_give_the_names(identifier: str, prefix: str) -> None:
    more = f"  identifier: {identifier}\n"
    assert told(f"{prefix} => /#/known", more=more) == []
    if "header}" not in identifier and "ingress" not in identifier:
        assert len(told(f"{prefix}/x => /#/known", more=more)) == 1
    assert len(told(f"{prefix.replace('svc', 'other')} => /#/known", more=more)) == 1


@pytest.mark.parametrize(
    "through",
    [
        "/$/io.buoyant.porthostPfx/host",
        "/$/io.buoyant.http.subdomainOfPfx/a.test/host",
        "/$/io.buoyant.http.anyHost",
        "/$",
        "/#/turn",
        "/#",
        "/",
        "/ | /host",
        "/x & 3*/host",
    ],
)
def test_names_are_followed_through_namers(through: str) -> None:
    rules = ["/host => /#/known", "/srv => /#/known", "/x => /#/known", f"/svc => {through}"]
    missed = {what.split()[4].rstrip(",") for _, what in told(*rules)}
    met = {"/host"} if "host" in through else {"/srv"} if through == "/#/turn" else set()
    met |= {"/x"} if "/x" in through else set()
    anything = through in ("/$/io.buoyant.http.anyHost", "/$", "/") or through.startswith("/ ")
    if through == "/#":
        met = {"/srv"}
    assert missed == (set() if anything else {"/host", "/srv", "/x"} - met)


def test_a_namer_that_nothing_is_known_of_may_lead_anywhere() -> None:
    class Plugin:
        kind = "plugin"

    (names,) = answered(Plugin())  # type: ignore[arg-type]
    assert names.show() == "/..."


def test_a_loop_has_an_end() -> None:
    assert told("/svc => /svc/a", "/svc/a => /svc") == []


# --- entries behind others ---


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["/svc => /#/known", "/svc => /#/known"], "/svc is never asked, it is written again at"),
        (["/svc => /#/known", "/svc => /$/inet/a/80"], "/$/inet/a/80 at 11:5 always has an answer"),
        (["/svc/a => /#/known", "/svc => !"], "/svc=>! at 11:5 always has an answer before it"),
        (["/svc/* => /#/known", "/svc => $ | /x"], "/svc/* is never asked, "),
        (["/svc => /#/known", "/svc => /$/io.buoyant.rinet/80"], "always has an answer before"),
        (["/svc => /#/known", "/svc => /$/nonsense"], "always has an answer before it"),
    ],
)
def test_an_entry_that_another_always_answers_before_is_told(
    rules: list[str], expected: str
) -> None:
    at, told_of = next((at, what) for at, what in told(*rules) if "never asked" in what)
    assert (at, expected in told_of) == (0, True)


@pytest.mark.parametrize(
    "rules",
    [
        ["/svc => /#/known", "/svc => /#/known/x"],
        ["/svc => /#/known", "/svc/a => /$/inet/a/80"],
        ["/svc => /#/known", "/svc => ~"],
        ["/svc => ~", "/svc => ~"],
        ["/svc => /#/known", "/svc => /$/io.buoyant.rinet"],
        ["/svc => /#/known", "/svc => /$/inet/a/80 & /#/known"],
        ["/srv => /#/known", "/svc => /$/io.buoyant.porthostPfx/srv"],
        ["/srv => ~", "/svc => /#/known", "/svc => /srv"],
        ["/$/inet/a => /#/known", "/svc => /#/known", "/svc => /$/inet"],
        ["/srv => /#/known", "/srv/a => /$/inet/a/80", "/svc/a => /srv/a", "/svc/b => /srv/b"],
    ],
)
def test_an_entry_that_is_asked_when_another_is_negative_is_not(rules: list[str]) -> None:
    assert told(*rules) == []


def test_an_answer_is_followed_through_the_dtab() -> None:
    """The rules of the article, but for their order."""
    rules = [
        "/ph => /$/io.buoyant.rinet",
        "/srv => /$/io.buoyant.porthostPfx/ph",
        "/srv => /ph/80",
        "/svc => /srv",
    ]
    ((at, what),) = told(*rules)
    assert (at, what) == (
        1,
        "/srv is never asked, /srv=>/ph/80 at 12:5 always has an answer before it",
    )
    rules[1], rules[2] = rules[2], rules[1]
    assert told(*rules) == []


def test_an_alternative_behind_one_that_always_answers_is_told() -> None:
    assert [what for _, what in told("/svc => /#/known | (/$/inet/a/80 | /#/known/x) | ~")] == [
        "~ is never asked: /$/inet/a/80 | /#/known/x before it always has an answer",
        "/#/known/x is never asked: /$/inet/a/80 before it always has an answer",
    ]
    assert [what for _, what in told("/svc => 3*(/$/nil | /#/known) & /#/known")] == [
        "/#/known is never asked: /$/nil before it always has an answer"
    ]


# --- a table in a file ---


def test_the_table_of_a_file_is_looked_at_with_its_own_places(tmp_path: FilePath) -> None:
    file = tmp_path / "dtab"
    file.write_text("# why\n/srv => /#/unknown ;\n /host => /#/known")
    more = f"  interpreter: {{kind: io.l5d.fs, dtabFile: {file}}}\n"
    first, second = warnings_of(read(config(["/svc => /srv"], more), "f"), {})
    assert str(first).startswith(f"{file}:2:1: routers[0].interpreter.dtabFile: /#/unknown never")
    assert str(second).startswith(f"{file}:3:2: routers[0].interpreter.dtabFile: no name leads to")
    file.write_text("/srv => ")
    assert warnings_of(read(config(["/svc => /srv"], more), "f"), {}) == ()


# --- nothing is said that is not so ---

LEAVES = [
    "/svc", "/svc/a", "/srv", "/srv/a", "/ph/80", "/", "/#/known", "/#/known/a", "/#/turn",
    "/#/turn/a", "/#/unknown", "/#", "/$/inet/a/80", "/$/inet/80", "/$/inet", "/$/nil", "/$/fail",
    "/$/io.buoyant.rinet", "/$/io.buoyant.rinet/80", "/$/io.buoyant.rinet/80/a", "/$/nonsense",
    "/$/io.buoyant.porthostPfx/ph", "/$/io.buoyant.http.subdomainOfPfx/b/srv", "/$",
    "/$/io.buoyant.http.anyHost", "/$/io.buoyant.http.domainToPathPfx/srv", "!", "~", "$",
]  # fmt: skip
TREES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.builds("({} | {})".format, inner, inner) | st.builds("({} & {})".format, inner, inner)
    ),
    max_leaves=3,
)
PREFIXES = st.sampled_from(
    ["/svc", "/svc/a", "/svc/*", "/*", "/srv", "/srv/a", "/srv/*/b", "/ph", "/ph/80", "/", "/#",
     "/#/known", "/#/unknown", "/$", "/$/inet", "/svc/a/b", "/*/a"]
)  # fmt: skip
RULES = st.lists(st.builds("{} => {}".format, PREFIXES, TREES), min_size=1, max_size=5)
HOSTS = ["a", "80", "x.b", "a:443"]


class Known:
    """Knows the names that begin with `a`, and answers all others as its configuration says."""

    def __init__(self, prefix: str, turn: str | None = None) -> None:
        self.prefix = Path.parse(prefix)
        self._turn = turn

    def lookup(self, path: Path) -> Lookup:
        if not path:
            return NEG
        if self._turn is not None:
            return Leaf(Path.parse(self._turn) + path.take(1))
        if path[:1] != (b"a",):
            return NEG
        return Leaf(Bound(self.prefix + path.take(1), Var(ADDR_PENDING), path.drop(1)))


WORLD = DefaultInterpreter(
    [Known("/#/known"), Known("/#/turn", "/srv")],
    SystemNamers(lambda _host, _port: Var(ADDR_PENDING)),
)


def bound(rules: Sequence[str], path: Path) -> object:
    """Say what a name is bound to; None for what goes on and on."""
    dtab = Dtab.parse(";".join(rules))
    states: list[State[object]] = []
    WORLD.bind(dtab, path).observe(states.append)()
    match states[-1]:
        case Ok(tree):
            return tree
        case Failed(error):
            return None if "Max recursion" in str(error) or "More than" in str(error) else "failed"
    raise AssertionError(states)


@given(RULES)
def test_whoever_heeds_a_warning_changes_nothing(rules: list[str]) -> None:
    names = [Path.of("svc", host) for host in HOSTS]
    before = [bound(rules, name) for name in names]
    for at, what in told(*rules):
        if "no name leads to" in what or "is never asked, " in what:
            after = [bound(rules[:at] + rules[at + 1 :], name) for name in names]
            pairs = [pair for pair in zip(before, after, strict=True) if None not in pair]
            assert [one for one, _ in pairs] == [other for _, other in pairs]
        elif "is never asked: " in what:
            (entry,) = Dtab.parse(rules[at])
            assert what.partition(" is never asked")[0] in entry.dst.show()
        else:
            leaf = Path.parse(what.split()[0])
            assert {bound(rules, leaf + name.drop(1)) for name in names} <= {NEG, "failed"}
