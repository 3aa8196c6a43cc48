"""What is told of a host that DNS is asked for."""

import time
from collections.abc import Callable, Iterator

import pytest

from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.discovery.dns_name import DnsName, addresses_of
from meshproxy.discovery.dns_query import Answer, QueryFailed
from meshproxy.naming.addr import ADDR_NEG, AddrBound, Address
from tests.kit.events import events_of
from tests.kit.k8s import wait_until

Answers = list[Answer | Exception]


class World:
    """A host whose look-ups have the results *answers*, the last one for ever."""

    def __init__(self, host: str, answers: Answers, ttl_s: float = 0.01) -> None:
        self.asked = 0
        self._answers = answers
        settings = DnsSettings(min_ttl_s=ttl_s, max_ttl_s=ttl_s, max_negative_ttl_s=ttl_s)
        self.name = DnsName(host, self._look_up, settings, time.monotonic)
        self.seen: list[object] = []
        self.close: Callable[[], None] = self.name.addr.observe(self.seen.append)

    def _look_up(self, _: str) -> Answer:
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def world() -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*given: object, **more: float) -> World:
        made.append(World(*given, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


FOUND = Answer(addresses=("10.0.0.2", "10.0.0.1"), ttl_s=60, name_exists=True)
GONE = Answer(addresses=(), ttl_s=60, name_exists=False)
FAILED = QueryFailed("no answer within 2 s")


def test_nothing_is_told_before_the_first_answer(world: Callable[..., World]) -> None:
    assert world("a.test", [FOUND]).name.followed()[:5] == ("a.test", "", 0, "", 0)


def test_the_addresses_are_told_and_when_they_are_renewed(world: Callable[..., World]) -> None:
    before = time.time()
    subject = world("b.test", [FOUND], ttl_s=30)
    wait_until(lambda: subject.asked)
    told = subject.name.followed()
    assert (told.answer, told.failure) == ("10.0.0.1, 10.0.0.2", "")
    assert before <= told.answered_at <= time.time()
    assert before + 29 < told.renewed_at < time.time() + 31


def test_a_failure_is_told_beside_the_answer_that_stays_in_use(
    world: Callable[..., World],
) -> None:
    subject = world("c.test", [FOUND, FAILED])
    wait_until(lambda: subject.asked >= 3)
    told = subject.name.followed()
    assert (told.answer, told.failure) == ("10.0.0.1, 10.0.0.2", "no answer within 2 s")
    assert told.failing_since >= told.answered_at > 0
    assert events_of("DNS c.test") == ["no answer within 2 s"]
    assert subject.seen[-1] == addresses_of(["10.0.0.1", "10.0.0.2"], 0)


def test_an_answer_ends_the_failure(world: Callable[..., World]) -> None:
    subject = world("d.test", [FAILED, ValueError("broken"), GONE])
    wait_until(lambda: subject.seen[-1] == ADDR_NEG)
    assert subject.name.followed()[1:5:2] == ("no address", "")
    assert subject.name.followed().failing_since == 0
    assert events_of("DNS d.test") == ["no answer within 2 s", "answered again"]


def test_addresses_have_the_port() -> None:
    assert addresses_of(["10.0.0.1"], 80) == AddrBound(frozenset({Address("10.0.0.1", 80)}))
