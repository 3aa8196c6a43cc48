"""From a name to who serves it: waiting, failing, changing, drawing, keeping and letting go."""

import gc
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import gevent
import pytest

from meshproxy.client.h1.pool import EndpointPool
from meshproxy.config.client import ClientItem, StaticClientConfig
from meshproxy.config.routers import BindingCacheConfig
from meshproxy.config.svc import GlobalSvcConfig
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.errors import (
    BadDtabHeader,
    BindingFailed,
    BindingTimedOut,
    LoopDetected,
    NoHosts,
    ServiceTimedOut,
    TlsFailed,
)
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_NEG, Addr, AddrBound, Address
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf, NameTree, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.protocols.http import HttpRouterConfig
from meshproxy.router.binding import Binding
from meshproxy.router.own_listeners import OwnListener
from meshproxy.router.path_service import PathKey
from meshproxy.var import PENDING, Activity, Failed, Ok, State, Var
from tests.kit.downstream import Downstream, Received
from tests.kit.effort import lines_run
from tests.kit.guards import guard
from tests.kit.messages import Pieces, body_of, request

WEB = Path.parse("/svc/web")
OVERRIDE = Dtab.parse("/svc => /other")


class Names:
    """An interpreter whose answers are set by the test."""

    def __init__(self, state: State[NameTree[Bound]]) -> None:
        self.answer: Var[State[NameTree[Bound]]] = Var(state)
        self.asked: list[tuple[str, str]] = []
        """The table and the name of every binding."""

    def bind(self, dtab: Dtab, path: Path) -> Activity[NameTree[Bound]]:
        self.asked.append((dtab.show(), path.show()))
        return self.answer


class Subject(Binding):
    """A binding over `names`."""

    def __init__(
        self,
        state: State[NameTree[Bound]],
        before: "Subject | None" = None,
        own: Sequence[OwnListener] = (),
        **config: object,
    ) -> None:
        self.names = Names(state)
        self.tree = before.tree if before is not None else Tree()
        table = Dtab.parse("/svc => /#/io.l5d.fs")
        settings = {"dtab": table, "binding_timeout_ms": 5000, **config}
        super().__init__(
            HttpRouterConfig(**settings),  # type: ignore[arg-type]
            self.names,
            Limits(),
            self.tree,
            EndpointPool,
            guard(*own),
            lambda _host, _port: Var(ADDR_NEG),
            before,
        )

    def ask(self, key: PathKey = WEB, asked: Request | None = None) -> bytes:
        return body_of(self.serve(key, asked or request()))

    def counts(self, cache: str) -> tuple[int, ...]:
        """Return misses, evicts, expires and oneshots of *cache*."""
        scope = self.tree.scope("bindcache", cache)
        names = ("misses", "evicts", "expires", "oneshots")
        return tuple(scope.counter(name).value for name in names)

    def sizes(self) -> list[float]:
        """Return how many paths, trees, bounds and clients are kept."""
        caches = ("path", "tree", "bound", "client")
        return [self.tree.gauge("bindcache", cache, "size").read() for cache in caches]


@contextmanager
def binding(
    state: State[NameTree[Bound]], own: Sequence[OwnListener] = (), **config: object
) -> Iterator[Subject]:
    made = Subject(state, own=own, **config)
    try:
        yield made
    finally:
        made.close()


def leaf(server: Downstream, name: str = "a", residual: str = "/") -> Leaf[Bound]:
    addr = Var(AddrBound(frozenset((Address(server.host, server.port),))))
    return Leaf(Bound(Path.of("#", name), addr, Path.parse(residual)))


def echo(received: Received) -> bytes:
    return (received.get("l5d-dst-client") or "").encode()


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(echo) as server:
        yield server


# --- waiting and failing ---


def test_a_pending_name_is_waited_for(origin: Downstream) -> None:
    with binding(PENDING) as subject:
        asking = gevent.spawn(subject.ask)
        gevent.idle()
        subject.names.answer.set(Ok(leaf(origin)))
        assert asking.get() == b"/#/a"


def test_waiting_ends_with_the_binding_timeout() -> None:
    with binding(PENDING, binding_timeout_ms=20) as subject:
        with pytest.raises(BindingTimedOut) as raised:
            subject.ask()
        assert raised.value.status == 503
        assert str(raised.value) == (
            "Exceeded 0.02.seconds binding timeout while resolving name: /svc/web"
        )


def test_waiting_ends_with_the_total_timeout() -> None:
    service = GlobalSvcConfig(total_timeout_ms=20)
    with (
        gevent.Timeout(10),
        binding(PENDING, service=service, binding_timeout_ms=0) as subject,
        pytest.raises(
            ServiceTimedOut, match=r"exceeded 0\.02\.seconds to /svc/web .* retries \(if"
        ),
    ):
        subject.ask()


def test_waiting_ends_with_the_request_s_own_deadline() -> None:
    asked = request()
    asked.deadline = monotonic() + 0.02
    with (
        gevent.Timeout(10),
        binding(PENDING, binding_timeout_ms=0) as subject,
        pytest.raises(ServiceTimedOut),
    ):
        subject.ask(asked=asked)


@pytest.mark.parametrize(
    ("error", "raised_as"),
    [
        (ValueError("no such file"), BindingFailed),
        (BindingFailed("recursion"), BindingFailed),
        (BadDtabHeader("its own kind"), BadDtabHeader),
    ],
)
def test_a_failure_tells_its_own_words(error: Exception, raised_as: type[Exception]) -> None:
    with binding(Failed(error)) as subject, pytest.raises(raised_as, match=str(error)):
        subject.ask()


NO_ROUTE = """\
Unable to route request!

service name: /svc/web
dtab:

base dtab:
  /svc => /#/io.l5d.fs
override dtab:
"""


@pytest.mark.parametrize("tree", [NEG, EMPTY, FAIL], ids=["neg", "empty", "fail"])
def test_a_name_that_leads_nowhere_tells_the_tables(tree: NameTree[Bound]) -> None:
    with binding(Ok(tree)) as subject:
        with pytest.raises(NoHosts) as raised:
            subject.ask()
        nowhere = "No hosts are available: the name is negative, empty or failed\n"
        assert (raised.value.status, str(raised.value)) == (502, f"{NO_ROUTE}\n{nowhere}")
        with pytest.raises(NoHosts) as raised:
            subject.ask((WEB, OVERRIDE))
        assert str(raised.value) == f"{NO_ROUTE}  /svc => /other\n\n{nowhere}"


def test_a_name_without_addresses_tells_which() -> None:
    nobody = Leaf(Bound(Path.of("#", "a"), Var(AddrBound(frozenset()))))
    with binding(Ok(nobody)) as subject, pytest.raises(NoHosts) as raised:
        subject.ask()
    assert str(raised.value) == NO_ROUTE + "\nNo hosts are available for /#/a\n"


def test_tls_that_cannot_work_fails_its_names_and_no_others(origin: Downstream) -> None:
    client = StaticClientConfig(
        configs=(ClientItem(prefix=PathMatcher.parse("/#/bad"), tls=ClientTlsConfig()),)
    )
    tree = Union((Weighted(1, leaf(origin)), Weighted(1, leaf(origin, "bad"))))
    with binding(Ok(tree), client=client) as subject:
        for _ in range(2):
            with pytest.raises(TlsFailed, match="commonName"):
                subject.ask()
        subject.names.answer.set(Ok(leaf(origin)))
        assert subject.ask() == b"/#/a"
        subject.names.answer.set(Ok(NEG))
        subject.trees.close()
        assert [entry.users for entry in subject.bounds._entries.values()] == [0]


# --- changing ---


def test_a_change_is_followed_by_the_next_request(origin: Downstream) -> None:
    with binding(Ok(leaf(origin))) as subject:
        assert subject.ask() == b"/#/a"
        subject.names.answer.set(Ok(leaf(origin, "b")))
        assert subject.ask() == b"/#/b"
        subject.names.answer.set(Ok(NEG))
        with pytest.raises(NoHosts):
            subject.ask()


@pytest.mark.parametrize("lost", [PENDING, Failed(ValueError("the watch broke"))])
def test_the_last_good_tree_stays_in_use(origin: Downstream, lost: State[NameTree[Bound]]) -> None:
    with binding(Ok(leaf(origin))) as subject:
        subject.ask()
        subject.names.answer.set(lost)
        assert subject.ask() == b"/#/a"


def test_a_change_of_the_tree_keeps_the_connections_of_names_that_stay(origin: Downstream) -> None:
    both = Union((Weighted(1, leaf(origin)), Weighted(0, leaf(origin, "b"))))
    with binding(Ok(leaf(origin))) as subject:
        subject.ask()
        subject.names.answer.set(Ok(both))
        subject.ask()
        assert len(origin.wire) == 1


# --- drawing ---


def test_each_request_draws_its_own_branch(origin: Downstream) -> None:
    tree = Union((Weighted(1, leaf(origin)), Weighted(1, leaf(origin, "b")), Weighted(0, NEG)))
    with binding(Ok(tree)) as subject:
        assert {subject.ask() for _ in range(60)} == {b"/#/a", b"/#/b"}


def test_a_branch_that_leads_nowhere_fails_its_share(origin: Downstream) -> None:
    with binding(Ok(Union((Weighted(0, leaf(origin)), Weighted(1, EMPTY))))) as subject:
        with pytest.raises(NoHosts):
            subject.ask()
        assert origin.requests == []


# --- what is told, shared and limited ---


def test_the_endpoint_learns_by_which_names_it_was_reached(origin: Downstream) -> None:
    with binding(Ok(leaf(origin, "a", "/left"))) as subject:
        subject.ask()
        received = origin.requests[0]
        names = ("l5d-dst-service", "l5d-dst-client", "l5d-dst-residual")
        assert [received.get(name) for name in names] == ["/svc/web", "/#/a", "/left"]


def test_names_share_the_client_of_one_id(origin: Downstream) -> None:
    with binding(Ok(leaf(origin))) as subject:
        for key in (WEB, Path.parse("/svc/other"), (WEB, OVERRIDE)):
            subject.ask(key)
        assert subject.sizes() == [3, 1, 1, 1]
        assert len(origin.wire) == 1


def test_a_table_of_the_request_s_own_comes_after_the_router_s(origin: Downstream) -> None:
    with binding(Ok(leaf(origin))) as subject:
        subject.ask((WEB, OVERRIDE))
        subject.ask(WEB)
        assert subject.names.asked == [
            ("/svc=>/#/io.l5d.fs;/svc=>/other", "/svc/web"),
            ("/svc=>/#/io.l5d.fs", "/svc/web"),
        ]


def test_the_service_s_settings_say_how_much_of_a_body_is_kept(origin: Downstream) -> None:
    body = Pieces(b"x")
    with binding(Ok(leaf(origin)), service=GlobalSvcConfig(retry_buffer_kb=3)) as subject:
        subject.ask(asked=request(method=b"POST", body=body))
    assert body.keep == 3072


# --- keeping and letting go ---


@pytest.mark.parametrize("local", [None, Dtab.parse("/none => /srv")])
@pytest.mark.parametrize("rule", ["/svc => /$/nil", "/svc => /nowhere"])
def test_a_new_name_costs_the_same_at_any_size_of_the_dtab(rule: str, local: Dtab | None) -> None:
    def lines_of_a_name(entries: int) -> int:
        more = "".join(f"/svc/{number} => /x ;" for number in range(entries))
        with binding(PENDING, dtab=Dtab.parse(more + rule)) as subject:
            subject.interpreter = DefaultInterpreter([], SystemNamers(lambda *_: Var(ADDR_NEG)))

            def ask(name: str) -> None:
                path = Path.of("svc", name)
                with pytest.raises(NoHosts):
                    subject.ask(path if local is None else (path, local))

            ask("first")
            return lines_run(lambda: ask("second"))

    assert lines_of_a_name(1000) - lines_of_a_name(10) < 100


def test_a_name_is_bound_once(origin: Downstream) -> None:
    with binding(Ok(leaf(origin))) as subject:
        for _ in range(3):
            subject.ask()
        assert len(subject.names.asked) == 1
        assert [subject.counts(cache)[0] for cache in ("path", "tree", "bound", "client")] == [
            1
        ] * 4


def test_what_is_not_used_is_closed_and_no_longer_counted(origin: Downstream) -> None:
    with binding(Ok(leaf(origin))) as subject:
        subject.ask()
        subject.ask(Path.parse("/svc/used"))
        for _ in range(2):
            subject.sweep()
            subject.ask(Path.parse("/svc/used"))
        assert subject.counts("path")[2] == 1
        assert list(subject.tree.scope("service").scopes) == ["svc/used"]
        assert subject.sizes() == [1, 1, 1, 1]


def test_what_only_an_expired_name_used_expires_with_it(origin: Downstream) -> None:
    with binding(Ok(leaf(origin))) as subject:
        for name in ("a", "b"):
            subject.names.answer = Var(Ok(leaf(origin, name)))
            subject.ask(Path.of("svc", name))
        for _ in range(2):
            subject.sweep()
            subject.ask(Path.of("svc", "b"))
        assert subject.sizes() == [1, 1, 1, 1]
        assert list(subject.tree.scope("client").scopes) == ["#/b"]


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_an_expired_name_leaves_nothing_to_the_garbage_collector(origin: Downstream) -> None:
    table = Dtab.parse(f"/svc/* => /$/inet/127.0.0.1/{origin.port}")
    with binding(PENDING, dtab=table) as subject, no_garbage_collection():
        addr: Var[Addr] = Var(AddrBound(frozenset((Address(origin.host, origin.port),))))
        subject.interpreter = DefaultInterpreter([], SystemNamers(lambda *_: addr))
        subject.ask(Path.of("svc", "once"))
        subject.sweep()
        subject.ask(Path.of("svc", "used"))
        gc.collect()
        subject.sweep()
        assert subject.sizes() == [1, 1, 1, 1]
        assert gc.collect() == 0


def test_an_expired_client_is_gone_without_the_garbage_collector(origin: Downstream) -> None:
    with binding(Ok(leaf(origin))) as subject, no_garbage_collection():
        subject.ask(Path.of("svc", "once"))
        [client] = map(weakref.ref, subject.clients.values())
        subject.names.answer = Var(Ok(leaf(origin, "other")))
        for _ in range(2):
            subject.sweep()
            subject.ask(Path.of("svc", "used"))
        assert client() is None


def test_a_client_forgets_the_names_that_it_has_not_served_for_a_period(origin: Downstream) -> None:
    with binding(Ok(leaf(origin))) as subject:
        subject.ask(Path.parse("/svc/once"))
        for _ in range(2):
            subject.ask()
            subject.sweep()
        names = subject.tree.scope("client", "#/a", "service")
        assert list(names.scopes) == ["svc/web"]


def test_a_flood_of_names_stays_within_the_caches(origin: Downstream) -> None:
    sizes = BindingCacheConfig(paths=3, trees=3, bounds=3, clients=3)
    with binding(Ok(leaf(origin)), binding_cache=sizes) as subject:
        for number in range(20):
            subject.names.answer = Var(Ok(leaf(origin, str(number))))
            subject.ask(Path.of("svc", str(number)))
        assert subject.sizes() == [3, 3, 3, 3]
        assert len(subject.tree.scope("client").scopes) == 3
        assert len(subject.tree.scope("service").scopes) == 3


def test_a_name_too_many_is_served_once_while_all_others_are_busy(origin: Downstream) -> None:
    sizes = BindingCacheConfig(paths=1, trees=1, bounds=1, clients=1)
    with binding(PENDING, binding_cache=sizes) as subject:
        busy = gevent.spawn(subject.ask)
        gevent.idle()
        waiting, subject.names.answer = subject.names.answer, Var(Ok(leaf(origin, "b")))
        assert subject.ask(Path.parse("/svc/other")) == b"/#/b"
        assert subject.counts("path") == (2, 0, 0, 1)
        assert subject.names.answer._observers == {}
        waiting.set(Ok(leaf(origin)))
        assert busy.get() == b"/#/a"
        assert subject.sizes() == [1, 1, 1, 1]


def test_closing_lets_go_of_everything(origin: Downstream) -> None:
    subject = Subject(Ok(leaf(origin)))
    subject.ask()
    subject.close()
    assert subject.sizes() == [0, 0, 0, 0]
    assert subject.names.answer._observers == {}
    assert not subject.tree.scope("client").scopes


# --- handing on to the binding of a later configuration ---


def heir(before: Subject, state: State[NameTree[Bound]], **config: object) -> Subject:
    """Return the binding that takes over from *before*, which is closed for it."""
    made = Subject(state, before=before, **config)
    before.close(made)
    return made


def test_an_heir_has_the_clients_and_goes_on_counting(origin: Downstream) -> None:
    first = Subject(Ok(leaf(origin)))
    assert first.ask() == b"/#/a"
    second = heir(first, Ok(leaf(origin)))
    assert second.ask() == b"/#/a"
    assert {one.connection for one in origin.requests} == {0}
    assert second.tree.counter("service", "svc/web", "requests").value == 2
    assert second.tree.counter("client", "#/a", "requests").value == 2
    assert first.names.answer._observers == {}
    second.close()
    assert not second.tree.scope("client").scopes


@pytest.mark.parametrize(
    "config",
    [
        {
            "client": StaticClientConfig(
                configs=(ClientItem(prefix=PathMatcher.parse("/"), connect_timeout_ms=999),)
            )
        },
        {"binding_timeout_ms": 77},
    ],
)
def test_an_heir_does_not_want_clients_of_other_settings(
    origin: Downstream, config: dict[str, object]
) -> None:
    first = Subject(Ok(leaf(origin)))
    first.ask()
    second = heir(first, Ok(leaf(origin)), **config)
    assert second.clients.values() == []
    second.ask()
    assert {one.connection for one in origin.requests} == {0, 1}
    assert second.tree.counter("client", "#/a", "requests").value == 2
    second.close()


def test_an_heir_takes_the_addresses_of_its_own_names(origin: Downstream) -> None:
    first = Subject(Ok(leaf(origin)))
    first.ask()
    with Downstream(echo) as moved:
        second = heir(first, Ok(leaf(moved)))
        assert second.ask() == b"/#/a"
        assert len(moved.requests) == 1
        second.close()


def test_a_request_in_progress_ends_where_it_began(origin: Downstream) -> None:
    """It waits for its name in the binding that is closed meanwhile."""
    first = Subject(PENDING)
    waiting = gevent.spawn(first.ask)
    gevent.idle()
    second = heir(first, Ok(leaf(origin, "new")))
    first.names.answer.set(Ok(leaf(origin, "old")))
    assert waiting.get() == b"/#/old"
    assert second.ask() == b"/#/new"
    assert first.names.answer._observers == {}
    second.close()


def test_one_that_is_late_does_not_turn_a_client_back(origin: Downstream) -> None:
    first = Subject(PENDING)
    waiting = gevent.spawn(first.ask)
    gevent.idle()
    with Downstream(echo) as moved:
        second = heir(first, Ok(leaf(moved)))
        second.ask()
        first.names.answer.set(Ok(leaf(origin)))
        assert waiting.get() == b"/#/a"
        second.ask()
        assert (len(moved.requests), len(origin.requests)) == (3, 0)
        second.close()


def test_scopes_that_nobody_used_since_go_with_the_first_sweep(origin: Downstream) -> None:
    first = Subject(Ok(leaf(origin)))
    first.ask()
    second = heir(first, Ok(leaf(origin)))
    assert list(second.tree.scope("service").scopes) == ["svc/web"]
    second.sweep()
    assert list(second.tree.scope("service").scopes) == []
    second.close()


@pytest.mark.parametrize("is_ours", [False, True])
def test_who_chose_an_address_parts_clients_at_our_own_ports_only(
    origin: Downstream, *, is_ours: bool
) -> None:
    own = OwnListener("127.0.0.1", origin.port, "other")
    addr = Var(AddrBound(frozenset((Address(origin.host, origin.port),))))
    name = Path.of("$", "inet", "127.0.0.1", str(origin.port))
    by_operator, by_request = (
        Leaf(Bound(name, addr, Path(), by)) for by in (ChosenBy.OPERATOR, ChosenBy.REQUEST)
    )
    with binding(Ok(by_operator), own=[own] if is_ours else []) as subject:
        assert subject.ask(WEB) == name.show().encode()
        subject.names.answer.set(Ok(by_request))
        if is_ours:
            with pytest.raises(LoopDetected):
                subject.ask(WEB)
        else:
            subject.ask(WEB)
        assert subject.sizes()[-1] == 1 + is_ours
        assert len(origin.requests) == 2 - is_ours
