"""Binding: whose answer counts, what is followed, and where it ends."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.config.kinds import find
from meshproxy.http import l5d
from meshproxy.http.headers import of
from meshproxy.interpreters.default import DefaultInterpreter, DefaultInterpreterConfig
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_PENDING
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import BoundTree, Lookup, Transformed
from meshproxy.naming.nametree import NEG, Alt, Leaf, NameTree, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Activity, Failed, Ok, Source, State, Var
from tests.kit.deps import interpreter_deps
from tests.kit.names import parse_tree
from tests.kit.trees import simplify

SYSTEM = SystemNamers(lambda _host, _port: Var(ADDR_PENDING))
BROKEN: State[NameTree[Path | Bound]] = Failed(ValueError("broken"))


def bound(text: str) -> NameTree[Path | Bound]:
    return Leaf(Bound(Path.parse(text), Var(ADDR_PENDING)))


def ok(tree: NameTree[Path | Bound]) -> State[NameTree[Path | Bound]]:
    return Ok(tree)


@dataclass
class Names:
    """A namer whose names the test changes; unknown ones are negative."""

    prefix: Path
    states: dict[Path, Var[State[NameTree[Path | Bound]]]] = field(default_factory=dict)
    followed: list[str] = field(default_factory=list)

    def lookup(self, path: Path) -> Lookup:
        return Source(lambda emit: self._start(path, emit), PENDING)

    def _start(
        self, path: Path, emit: Callable[[State[NameTree[Path | Bound]]], None]
    ) -> Callable[[], None]:
        self.followed.append(path.show())
        close = self._state(path).observe(emit)

        def stop() -> None:
            self.followed.remove(path.show())
            close()

        return stop

    def _state(self, path: Path) -> Var[State[NameTree[Path | Bound]]]:
        return self.states.setdefault(path, Var(ok(NEG)))

    def set(self, path: str, state: State[NameTree[Path | Bound]]) -> None:
        self._state(Path.parse(path)).set(state)


@dataclass(frozen=True)
class Fixed:
    """A namer with one answer for every name."""

    prefix: Path
    answer: Lookup

    def lookup(self, path: Path) -> Lookup:
        del path
        return self.answer


def bind(
    dtab: str, path: str = "/svc/x", namers: Sequence[Names | Fixed] = ()
) -> Activity[BoundTree]:
    return DefaultInterpreter(namers, SYSTEM).bind(Dtab.parse(dtab), Path.parse(path))


def shown(state: State[BoundTree]) -> str:
    match state:
        case Ok(tree):
            return tree.show()
        case Failed(error):
            return f"failed: {error}"
        case _:
            return "pending"


def result(dtab: str, path: str = "/svc/x", namers: Sequence[Names | Fixed] = ()) -> str:
    return shown(bind(dtab, path, namers).sample())


def fixed(prefix: str, answer: Lookup) -> Fixed:
    return Fixed(Path.parse(prefix), answer)


HIT = fixed("/#/hit", bound("/#/hit"))
WORLD = [
    HIT,
    fixed("/#/pending", Var(PENDING)),
    fixed("/#/broken", Var(BROKEN)),
]
TOO_DEEP = "failed: Max recursion level: 100 reached in Namer lookup"


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ("/#/hit", "/#/hit"),
        ("~", "~"),
        ("!", "!"),
        ("$", "$"),
        ("/unknown", "~"),
        ("~ | /unknown | /#/hit | /#/broken", "/#/hit"),
        ("! | /#/hit", "!"),
        ("$ | /#/hit", "$"),
        ("/#/pending | /#/hit", "pending"),
        ("/#/broken | /#/hit", "failed: broken"),
        ("~ | ~", "~"),
        ("/#/hit & 3*/$/inet/1", "/#/hit & 3.00*/$/inet/1"),
        ("/#/hit & ~", "/#/hit"),
        ("! & /#/hit", "/#/hit"),
        ("/#/hit & $", "/#/hit & $"),
        ("~ & ~", "~"),
        ("! & !", "~"),
        ("$ & !", "$"),
        ("/#/pending & /#/hit", "/#/hit"),
        ("/#/broken & /#/hit", "/#/hit"),
        ("/#/pending & /#/broken", "failed: broken"),
        ("/#/pending & /#/pending", "pending"),
        ("(~ & /#/pending) | /#/hit", "/#/hit"),
        ("/#/hit & (/#/hit & $)", "/#/hit & (/#/hit & $)"),
        ("/#/hit & (~ | $)", "/#/hit & $"),
    ],
)
def test_binding_rules(tree: str, expected: str) -> None:
    assert result(f"/svc=>{tree}", namers=WORLD) == expected


def test_the_first_failure_of_a_union_is_its_failure() -> None:
    other = fixed("/#/other", Var(Failed(ValueError("other"))))
    assert result("/svc=>/#/other & /#/broken", namers=[*WORLD, other]) == "failed: other"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Union(()), "~"),
        (Alt(()), "~"),
        (Union((Weighted(3.0, parse_tree("!")),)), "!"),
        (Union((Weighted(3.0, Leaf(Path.parse("/$/nil"))),)), "$"),
    ],
)
def test_degenerate_trees_of_a_namer(answer: Lookup, expected: str) -> None:
    assert result("", "/#/n/x", [fixed("/#/n", answer)]) == expected


def test_the_residual_is_what_the_bound_name_left_over() -> None:
    state = bind("/svc=>/$/inet/h/80/base", "/svc/x/y").sample()
    assert isinstance(state, Ok)
    assert isinstance(state.value, Leaf)
    assert state.value.value.residual == Path.parse("/base/x/y")


def test_the_last_configured_namer_answers_first_and_negative_passes_on() -> None:
    first = fixed("/#/n", bound("/#/first"))
    assert result("", "/#/n/x", [first, fixed("/#/n", NEG)]) == "/#/first"
    assert result("", "/#/n/x", [first, fixed("/#/n", Var(Ok(NEG)))]) == "/#/first"
    assert result("", "/#/n/x", [first, fixed("/#/n", Var(PENDING))]) == "pending"
    assert result("", "/#/n/x", [first, fixed("/#", bound("/#/second"))]) == "/#/second"


def test_a_namer_is_asked_for_whole_segments_only() -> None:
    assert result("", "/#/name/x", [fixed("/#/n", bound("/#/n"))]) == "~"


def test_the_table_captures_names_of_namers() -> None:
    assert result("/#/hit=>/$/nil", "/#/hit/x", WORLD) == "$"
    assert result("/$/inet=>/$/fail", "/$/inet/h/80") == "!"


def test_one_negative_entry_is_no_match_and_two_are() -> None:
    assert result("/#/hit=>~", "/#/hit/x", WORLD) == "/#/hit"
    assert result("/#/hit=>~;/#/hit=>~", "/#/hit/x", WORLD) == "~"
    assert result("/#/hit=>~ | ~", "/#/hit/x", WORLD) == "~"


def test_a_catch_all_entry_loops() -> None:
    assert result("/=>/x", "/$/inet/h/80") == TOO_DEEP


def test_further_names_of_a_namer_begin_again_at_the_table() -> None:
    alias = fixed("/#/alias", parse_tree("/nowhere | /svc/x"))
    assert result("/svc=>/#/hit", "/#/alias/y", [*WORLD, alias]) == "/#/hit"


def chain(lookups: int) -> str:
    return ";".join(f"/a{at}=>/a{at + 1}" for at in range(lookups - 1)) + (
        f";/a{lookups - 1}=>/$/inet/1"
    )


def test_exactly_a_hundred_lookups_work() -> None:
    assert result(chain(99), "/a0") == "/$/inet/1"
    assert result(chain(100), "/a0") == TOO_DEEP


def test_a_loop_kills_what_follows_and_is_not_seen_behind_a_winner() -> None:
    assert result("/loop=>/loop;/svc=>/loop | /#/hit", namers=WORLD) == TOO_DEEP
    assert result("/loop=>/loop;/svc=>/#/hit | /loop", namers=WORLD) == "/#/hit"
    assert result("/loop=>/loop;/svc=>/#/hit & /loop", namers=WORLD) == "/#/hit"


def test_a_chain_with_a_fallback_at_each_of_its_hundred_steps_works() -> None:
    steps = ";".join(f"/a{at}=>/a{at + 1} | /other" for at in range(97))
    assert result(f"{steps};/a97=>/$/inet/1", "/a0") == "/$/inet/1"


@pytest.mark.parametrize(
    ("dtab", "text"),
    [
        pytest.param("/svc=>/a;/a=>/b;/b=>/a", "Max recursion level", id="mutual"),
        pytest.param("/svc=>/svc & /svc", "1000 nodes", id="doubling"),
        pytest.param("/svc=>/svc/a & /svc/b & ~", "1000 nodes", id="doubling-and-growing"),
        pytest.param("/svc=>" + "&".join(["/#/hit"] * 1000), "1000 nodes", id="wide"),
        pytest.param("/svc=>" + "|".join(["/none"] * 1000), "1000 nodes", id="wide-alternation"),
        pytest.param("/svc=>/svc" + "/a" * 500, "1000 segments", id="growing"),
        pytest.param(
            "/svc=>" + "/$/nil & (~ | (" * 30 + "/svc" + "))" * 30, "256 levels", id="nesting"
        ),
        pytest.param(
            ";".join(["/svc=>/svc & /svc", *(f"/svc{'/a' * n}/b=>~" for n in range(200))]),
            "1000 nodes",
            id="many-shapes",
        ),
    ],
)
def test_a_bomb_ends_as_a_failure(dtab: str, text: str) -> None:
    state = bind(dtab, namers=WORLD).sample()
    assert isinstance(state, Failed)
    assert text in str(state.error)


def test_many_shapes_of_prefix_leave_fewer_lookups() -> None:
    asked = itertools.count()

    @dataclass(frozen=True)
    class Counting:
        prefix: Path = Path.of("#", "count")  # noqa: RUF009

        def lookup(self, path: Path) -> Lookup:
            del path
            next(asked)
            return Leaf(Path.of("#", "count", str(next(asked))))

    shapes = ";".join(f"/x{'/a' * n}=>~" for n in range(64))
    state = DefaultInterpreter([Counting()], SYSTEM).bind(
        Dtab.parse(shapes + ";/svc=>/svc & /#/count"), Path.of("svc")
    )
    assert "1000 nodes" in shown(state.sample())
    assert next(asked) < 1000


def test_the_deepest_tree_that_binds_compares_shows_and_hashes() -> None:
    text = "/$/inet/1 & (~ | (" * 32 + "/$/inet/2 & $" + "))" * 32
    first, second = (bind(f"/svc=>{text}").sample() for _ in range(2))
    assert isinstance(first, Ok)
    assert first == second
    assert hash(first) == hash(second)
    assert first.value.show().count("&") == 33


def test_a_better_alternative_takes_over_and_gives_back() -> None:
    names = Names(Path.of("#", "n"))
    seen: list[str] = []
    activity = bind("/svc=>/#/n/a | /#/n/b | /#/hit", "/svc", [HIT, names])
    close = activity.observe(lambda state: seen.append(shown(state)))
    assert names.followed == ["/a", "/b"]
    names.set("/b", ok(bound("/#/n/b")))
    names.set("/a", ok(bound("/#/n/a")))
    assert names.followed == ["/a"]
    names.set("/b", ok(NEG))
    names.set("/a", ok(NEG))
    names.set("/a", PENDING)
    names.set("/a", BROKEN)
    close()
    assert seen == ["/#/hit", "/#/n/b", "/#/n/a", "/#/hit", "pending", "failed: broken"]
    assert names.followed == []


def test_alternatives_behind_the_winner_are_not_asked() -> None:
    names = Names(Path.of("#", "n"))
    bind("/svc=>/#/hit | /#/n", namers=[HIT, names]).observe(lambda _state: None)
    assert names.followed == []
    assert names.states == {}


def test_a_result_equal_to_the_last_is_not_told_again() -> None:
    names = Names(Path.of("#", "n"))
    seen: list[str] = []
    names.set("/x", ok(bound("/#/n/x")))
    bind("/svc=>/#/n", namers=[names]).observe(lambda state: seen.append(shown(state)))
    names.set("/x", ok(parse_tree("~ | /#/other")))
    names.set("/x", ok(NEG))
    assert seen == ["/#/n/x", "~"]


def test_nothing_is_asked_before_somebody_observes() -> None:
    names = Names(Path.of("#", "n"))
    activity = bind("/svc=>/#/n", namers=[names])
    assert names.states == {}
    activity.sample()
    assert names.followed == []


@dataclass(frozen=True)
class Marks:
    """A transformer that puts its prefix in front of every id, once it is ready."""

    prefix: Path
    is_ready: Var[bool]

    def transform(self, tree: BoundTree) -> Transformed:
        if tree == NEG:
            return tree
        marked: BoundTree = tree.map(
            lambda one: Bound(self.prefix + one.id, one.addr, one.residual)
        )

        def state(is_ready: bool) -> State[BoundTree]:
            return Ok(marked) if is_ready else PENDING

        return self.is_ready.map(state)


def test_transformers_change_the_whole_bound_tree_in_order() -> None:
    ready = Var(value=True)
    marks = [Marks(Path.of("%", name), ready) for name in ("a", "b")]
    interpreter = DefaultInterpreter([HIT], SYSTEM, marks)
    seen: list[str] = []
    interpreter.bind(Dtab.parse("/svc=>/#/hit & /$/inet/1"), Path.of("svc")).observe(
        lambda state: seen.append(shown(state))
    )
    ready.set(False)
    assert seen == ["/%/b/%/a/#/hit & /%/b/%/a/$/inet/1", "pending"]


def test_transformers_see_only_bound_trees() -> None:
    marks = [Marks(Path.of("%", "a"), Var(value=False))]
    interpreter = DefaultInterpreter(WORLD, SYSTEM, marks)
    assert shown(interpreter.bind(Dtab(), Path.of("none")).sample()) == "~"
    assert shown(interpreter.bind(Dtab(), Path.parse("/#/broken/x")).sample()) == "failed: broken"


def test_the_kind_builds_the_interpreter() -> None:
    assert find("interpreters", "default") is DefaultInterpreterConfig
    deps = interpreter_deps(namers=[HIT], system=SYSTEM)
    interpreter = DefaultInterpreterConfig().build(deps)
    state = interpreter.bind(Dtab.parse("/svc=>/#/hit"), Path.of("svc")).sample()
    assert shown(state) == "/#/hit"


leaves = st.sampled_from(["~", "!", "$", "/#/hit", "/svc", "/a", "/b/c", "/#/pending", "/#/broken"])
random_trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda members: "(" + " | ".join(members) + ")")
        | st.lists(inner, min_size=1, max_size=3).map(
            lambda members: "(" + " & ".join(members) + ")"
        )
    ),
    max_leaves=8,
)
random_tables = st.lists(
    st.tuples(st.sampled_from(["/svc", "/a", "/b", "/*", "/b/*"]), random_trees), max_size=5
).map(lambda entries: ";".join(f"{prefix}=>{tree}" for prefix, tree in entries))


@given(random_tables)
def test_every_table_ends_in_a_simplified_tree_without_alternations(dtab: str) -> None:
    state = bind(dtab, namers=WORLD).sample()
    if isinstance(state, Ok):
        assert " | " not in state.value.show()
        assert simplify(state.value) == state.value


BY_OPERATOR, BY_REQUEST = "/svc/web => /$/inet/10.0.0.1/80", "/svc/x => /$/inet/10.0.0.1/80"


@pytest.mark.parametrize(
    ("operators", "requests", "name", "chosen_by"),
    [
        pytest.param(BY_OPERATOR, "", "/svc/web/more", "operator", id="a whole leaf"),
        pytest.param(BY_OPERATOR, BY_REQUEST, "/svc/x", "request", id="a dtab of the request"),
        pytest.param(BY_OPERATOR, "/svc/x => /svc/web", "/svc/x", "operator", id="to a whole leaf"),
        pytest.param("/svc => /$/inet/10.0.0.1", "", "/svc/80", "request", id="the port is asked"),
        pytest.param("/svc => /$/inet", "", "/svc/10.0.0.1/80", "request", id="all is asked"),
        pytest.param(
            "/ph => /$/io.buoyant.rinet ; /svc => /$/io.buoyant.porthostPfx/ph",
            "",
            "/svc/a.test:80",
            "request",
            id="rewritten from the name",
        ),
        pytest.param(
            "/ph => /$/io.buoyant.rinet ; /svc/web => /ph/80/a.test",
            "",
            "/svc/web",
            "operator",
            id="written in two entries",
        ),
        pytest.param(
            "/ph => /$/io.buoyant.rinet ; /svc/web => /ph/80",
            "",
            "/svc/web/a.test",
            "request",
            id="the host is asked",
        ),
        pytest.param(
            "/x => /$/inet/10.0.0.1",
            "/svc/web => /x/80",
            "/svc/web",
            "request",
            id="the request's segment behind the operator's",
        ),
        pytest.param(
            BY_OPERATOR,
            "/$/inet/10.0.0.1/80 => /$/inet/10.0.0.2/80",
            "/svc/web",
            "request",
            id="the end is the request's",
        ),
        pytest.param("/svc/web => ~ | /$/inet/80", "", "/svc/web", "operator", id="an alternative"),
        pytest.param("/svc => /#/hit", "", "/svc/web", "namer", id="a configured namer"),
    ],
)
def test_who_chose_where_a_name_leads(
    operators: str, requests: str, name: str, chosen_by: str
) -> None:
    headers = of((l5d.DTAB, requests.encode()))
    dtab = Dtab.parse(operators) + (l5d.take_dtab(headers) or Dtab())
    interpreter = DefaultInterpreter([HIT], SYSTEM)
    state = interpreter.bind(dtab, Path.parse(name)).sample()
    assert isinstance(state, Ok)
    assert isinstance(state.value, Leaf)
    assert state.value.value.chosen_by.value == chosen_by
