"""Which addresses are listeners of our own, and who may lead to them."""

import pytest

from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_PENDING, Address
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.path import Path
from meshproxy.router.own_listeners import OwnListener, OwnListeners
from meshproxy.var import Var
from tests.kit.guards import guard
from tests.kit.messages import request

REQUEST, NAMER, OPERATOR = ChosenBy.REQUEST, ChosenBy.NAMER, ChosenBy.OPERATOR
OURS = {"127.0.0.1", "127.0.0.2", "::1", "10.0.0.1", "fd00::1"}


def own(*listeners: OwnListener) -> OwnListeners:
    """Return them on a machine with the addresses OURS."""
    made = OwnListeners(lambda ip: str(ip) in OURS)
    made.replace(listeners)
    return made


@pytest.mark.parametrize(
    ("listening", "heard", "not_heard"),
    [
        ("127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0"], ["127.0.0.2", "::1", "::"]),
        ("::1", ["::1", "0:0:0:0:0:0:0:1", "::"], ["127.0.0.1", "0.0.0.0"]),
        ("10.0.0.1", ["10.0.0.1", "::ffff:a00:1"], ["127.0.0.1", "10.0.0.2"]),
        ("0.0.0.0", ["127.0.0.1", "127.0.0.2", "10.0.0.1", "::ffff:10.0.0.1"], ["10.0.0.2", "::1"]),
        ("::", ["::1", "fd00::1", "127.0.0.2", "10.0.0.1", "::", "0.0.0.0"], ["fd00::2"]),
        ("::ffff:127.0.0.1", ["127.0.0.1"], ["::1"]),
        ("0.0.0.0", ["localhost"], ["lb.test", ""]),
    ],
)  # fmt: skip
def test_an_address_is_judged_by_where_a_connection_to_it_arrives(
    listening: str, heard: list[str], not_heard: list[str]
) -> None:
    listener = OwnListener(listening, 4140, "http")
    listeners = own(listener)
    assert [listeners.at(Address(host, 4140)) for host in heard] == [listener] * len(heard)
    assert [listeners.at(Address(host, 4140)) for host in not_heard] == [None] * len(not_heard)
    assert [listeners.at(Address(host, 4141)) for host in heard] == [None] * len(heard)


def test_listeners_of_one_port_are_told_apart_by_address() -> None:
    one, two = OwnListener("127.0.0.1", 80, "one"), OwnListener("127.0.0.2", 80, "two")
    listeners = own(one, two)
    assert listeners.at(Address("127.0.0.2", 80)) == two
    listeners.replace([one])
    assert listeners.at(Address("127.0.0.2", 80)) is None


@pytest.mark.parametrize(
    ("router", "allowed"),
    [("http", set()), ("other", {NAMER, OPERATOR}), (None, {OPERATOR})],
)
def test_who_may_lead_to_a_listener(router: str | None, allowed: set[ChosenBy]) -> None:
    listener = OwnListener("127.0.0.1", 1, router)
    refusals = {by: guard(listener).refuses(Address("127.0.0.1", 1), by) for by in ChosenBy}
    assert refusals == {by: None if by in allowed else listener for by in ChosenBy}


def bound(name: str, chosen_by: ChosenBy) -> Bound:
    return Bound(Path.parse(name), Var(ADDR_PENDING), Path(), chosen_by)


@pytest.mark.parametrize(
    ("name", "chosen_by", "matters"),
    [
        ("/$/inet/127.0.0.1/4140", OPERATOR, True),
        ("/$/inet/127.0.0.1/04140", OPERATOR, True),
        ("/$/inet/4140", OPERATOR, True),
        ("/$/io.buoyant.rinet/4140/a.test", OPERATOR, True),
        ("/$/inet/127.0.0.1/4141", OPERATOR, False),
        ("/$/inet/127.0.0.1/x4140", OPERATOR, False),
        (f"/$/inet/127.0.0.1/{'1' * 5000}", OPERATOR, False),
        ("/#/io.l5d.fs/web", NAMER, True),
        ("/$/inet/127.0.0.1/4140", REQUEST, True),
    ],
)
def test_who_chose_a_name_parts_clients_only_where_it_matters(
    name: str, chosen_by: ChosenBy, matters: bool
) -> None:
    judged = guard(OwnListener("127.0.0.1", 4140)).chooser(bound(name, chosen_by))
    assert judged is (chosen_by if matters else REQUEST)


@pytest.mark.parametrize(
    ("listener", "where"),
    [
        (OwnListener("::1", 4140, "http"), "router http of this proxy listens on [::1]:4140"),
        (OwnListener("0.0.0.0", 9990), "the admin server of this proxy listens on 0.0.0.0:9990"),
    ],
)
def test_the_error_names_the_listener_and_what_led_there(listener: OwnListener, where: str) -> None:
    asked, metrics = request(), Tree()
    asked.dst = Path.parse("/svc/web")
    error = guard(metrics=metrics).error(asked, bound("/$/inet/h/1", REQUEST), listener)
    assert str(error).startswith(f"Loop detected: /svc/web leads to /$/inet/h/1, where {where}. ")
    assert (error.status, error.reason, error.retryable) == (508, "loop", False)
    assert metrics.counter("egress", "reason", "own_listener").value == 1
