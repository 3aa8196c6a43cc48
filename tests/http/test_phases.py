"""The times of a request."""

from meshproxy.http.phases import CONNECT, QUEUE, spend
from tests.kit.messages import request


def test_the_times_of_a_phase_are_added_up_and_a_request_without_a_wait_has_none() -> None:
    asked = request()
    assert asked.phases is None
    spend(asked, QUEUE, 0.5)
    spend(asked, CONNECT, 1.0)
    spend(asked, QUEUE, 0.25)
    assert asked.phases == {"queue": 0.75, "connect": 1.0}
