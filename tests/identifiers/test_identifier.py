"""Identifiers are asked in turn, and their answers may take time."""

import gevent
import pytest

from meshproxy.errors import BindingTimedOut, UnidentifiedRequest
from meshproxy.identifiers.header import HeaderTokenConfig
from meshproxy.identifiers.identifier import Declined, Named, first_of
from meshproxy.identifiers.path import PathConfig
from meshproxy.identifiers.static import StaticIdentifierConfig
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Failed, Ok, State, Var
from tests.kit.asked import Peer, request
from tests.kit.wire import WAIT_S

SVC = Path.of("svc")


def test_the_first_that_has_a_name_decides() -> None:
    identify = first_of(
        [
            HeaderTokenConfig(header="x-a").build(SVC),
            HeaderTokenConfig(header="x-b").build(SVC),
            StaticIdentifierConfig(path=Path.of("last")).build(SVC),
        ]
    )
    assert identify(request(x_b=b"b")) == Path.of("svc", "b")
    assert identify(request()) == Path.of("svc", "last")


def test_without_any_name_the_last_reason_is_told() -> None:
    identify = first_of([HeaderTokenConfig().build(SVC), PathConfig(segments=2).build(SVC)])
    asked = request(b"/a?b")
    asked.peer = Peer()
    with pytest.raises(UnidentifiedRequest) as caught:
        identify(asked)
    assert str(caught.value) == (
        'Unknown destination: Request("GET /a?b", from /192.0.2.1:5000)'
        " / not enough segments in path"
    )


def test_a_list_without_identifiers_is_refused() -> None:
    with pytest.raises(ValueError, match="empty identifier list"):
        first_of([])


def test_an_answer_that_takes_time_is_waited_for() -> None:
    answer: Var[State[Named]] = Var(PENDING)
    last = StaticIdentifierConfig(path=Path.of("last")).build(SVC)
    identify = first_of([lambda _: answer, last], 10.0)
    waiting = gevent.spawn(identify, request())
    gevent.sleep(0)
    assert not waiting.ready()
    answer.set(Ok(Path.of("found")))
    assert waiting.get(timeout=WAIT_S) == Path.of("found")
    answer.set(Ok(Declined("not this one")))
    assert identify(request()) == Path.of("svc", "last")
    answer.set(Failed(ValueError("a b is not a path")))
    with pytest.raises(UnidentifiedRequest, match="a b is not a path"):
        identify(request())


def test_an_answer_that_takes_too_long_is_a_timeout() -> None:
    answer: Var[State[Named]] = Var(PENDING)
    with pytest.raises(BindingTimedOut, match=r"Exceeded 0\.01\.seconds binding timeout"):
        first_of([lambda _: answer], 0.01)(request())
