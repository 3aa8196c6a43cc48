import gc
import weakref

import pytest

from meshproxy.metrics.instruments import Stat, Total
from meshproxy.metrics.tree import MAX_CHILDREN, OVERFLOW, Tree


def names(tree: Tree) -> list[str]:
    return [":".join(scope) for scope, _ in tree.walk()]


def test_the_same_name_is_the_same_object() -> None:
    tree = Tree()
    assert tree.scope("rt", "out") is tree.scope("rt").scope("out")
    assert tree.counter("rt", "out", "requests") is tree.scope("rt", "out").counter("requests")
    assert tree.stat("a", "ms") is tree.stat("a", "ms")
    assert tree.gauge("a", "g") is tree.gauge("a", "g")


def test_a_total_grows_with_what_is_added_to_it_later() -> None:
    tree = Tree()
    tree.total("status", "2XX", of=[tree.counter("status", "200")])
    total = tree.total("status", "2XX", of=[tree.counter("status", "204")])
    tree.counter("status", "200").incr()
    tree.counter("status", "204").incr()
    assert tree.counter("status", "2XX") is total
    assert total.value == 2


def test_a_name_may_be_an_instrument_and_a_scope() -> None:
    tree = Tree()
    tree.counter("failures").incr()
    tree.counter("failures", "connect").incr()
    assert names(tree) == ["failures", "failures:connect"]


def test_another_kind_under_a_taken_name_is_refused() -> None:
    tree = Tree()
    tree.counter("a")
    with pytest.raises(TypeError, match="a is a Counter, not a Stat"):
        tree.stat("a")


def test_a_gauge_takes_the_newest_function_and_keeps_it() -> None:
    tree = Tree()
    tree.gauge("g", fn=lambda: 1)
    tree.gauge("g", fn=lambda: 2)
    assert tree.gauge("g").read() == 2


def test_walk_gives_full_scopes() -> None:
    tree = Tree()
    tree.counter("rt", "out", "service", "svc/web", "requests")
    assert [scope for scope, _ in tree.walk()] == [("rt", "out", "service", "svc/web", "requests")]


def test_the_tree_may_grow_while_it_is_walked() -> None:
    tree = Tree()
    tree.counter("a")
    tree.counter("b")
    for scope, _ in tree.walk():
        tree.counter(scope[0] + "x")
    assert names(tree) == ["a", "b", "ax", "bx"]


def test_prune_removes_the_scope_and_a_later_one_starts_anew() -> None:
    tree = Tree()
    client = tree.scope("client", "a")
    client.counter("requests").incr()
    tree.counter("client", "b", "requests")
    client.prune()
    client.prune()
    assert names(tree) == ["client:b:requests"]
    assert tree.counter("client", "a", "requests").value == 0


def test_pruning_an_old_scope_spares_the_new_one_of_its_name() -> None:
    tree = Tree()
    old = tree.scope("a")
    old.prune()
    tree.counter("a", "requests")
    old.prune()
    assert names(tree) == ["a:requests"]


def test_a_scope_stays_until_its_last_holder_lets_go() -> None:
    tree = Tree()
    scope = tree.scope("a")
    scope.counter("requests").incr()
    scope.hold()
    tree.scope("a").hold()
    scope.prune()
    assert tree.counter("a", "requests").value == 1
    scope.prune()
    assert names(tree) == []


def test_what_is_pruned_is_gone_though_its_gauges_read_what_holds_it() -> None:
    class Pool:
        def __init__(self, metrics: Tree) -> None:
            self.metrics = metrics
            metrics.gauge("below", "size", fn=lambda: len(self.metrics.scopes))

    tree = Tree()
    pool = Pool(tree.scope("a"))
    is_gone = weakref.ref(pool)
    gc.disable()
    try:
        pool.metrics.prune()
        del pool
        assert is_gone() is None
    finally:
        gc.enable()


def test_scopes_beyond_the_bound_share_one_that_cannot_be_pruned() -> None:
    tree = Tree()
    for n in range(MAX_CHILDREN + 5):
        tree.counter(f"s{n}", "requests").incr()
    shared = tree.counter(OVERFLOW, "requests")
    assert shared.value == 5
    assert len(names(tree)) == MAX_CHILDREN + 1
    tree.scope("one too many").prune()
    assert tree.counter("one too many", "requests") is shared


def test_instruments_beyond_the_bound_share_one() -> None:
    tree = Tree()
    for n in range(MAX_CHILDREN + 5):
        tree.counter(f"c{n}").incr()
    assert tree.counter("another") is tree.counter(OVERFLOW)
    assert tree.counter(OVERFLOW).value == 5


def test_removing_an_instrument_takes_the_scopes_that_are_empty_without_it() -> None:
    tree = Tree()
    for name in ("a", "b"):
        tree.counter("client", name, "requests")
    tree.counter("client", "a", "failures", "reset")
    tree.remove("client", "a", "failures", "reset")
    assert names(tree) == ["client:a:requests", "client:b:requests"]
    assert tree.scope("client", "a").scopes == {}
    tree.remove("client", "a", "requests")
    tree.remove("client", "a", "requests")
    assert list(tree.scope("client").scopes) == ["b"]


def test_what_is_shared_is_made_once_and_not_shown() -> None:
    tree = Tree()
    for _ in range(2):  # as after a reload
        tree.shared("both", (tree.total("one"), tree.total("two")), (tree.stat("ms"),)).add(1)
    assert [(scope, type(one)) for scope, one in tree.walk()] == [
        (("one",), Total),
        (("two",), Total),
        (("ms",), Stat),
    ]
    assert (tree.counter("one").value, tree.counter("two").value) == (2, 2)
    assert tree.shared("both", (), ()) is tree.shared("both", (), ())
