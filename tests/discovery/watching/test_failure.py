import logging

import pytest

from meshproxy.discovery.watching.failure import ApiFailure, Complaints, Reason
from tests.kit.events import events_of

REFUSED = ApiFailure(Reason.CONNECT, "refused")
BROKEN_DOWN = ApiFailure(Reason.STATUS, "status 500: 'x'", 500)
FORBIDDEN = ApiFailure(Reason.STATUS, "status 403: 'x'", 403)


def test_a_complaint_of_many_watches_is_logged_once_and_its_end_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    complaints = Complaints("consul:8500")
    complaints.begin(REFUSED, "/dc1/web")
    complaints.begin(ApiFailure(Reason.CONNECT, "refused again"), "/dc1/shop")
    complaints.end(REFUSED)
    assert caplog.messages == ["consul:8500: /dc1/web: refused"]
    assert events_of("consul:8500") == ["/dc1/web: refused"]
    complaints.end(REFUSED)
    assert caplog.messages[1:] == ["consul:8500: no longer: refused"]
    assert events_of("consul:8500")[1:] == ["no longer: refused"]
    complaints.begin(REFUSED, "/dc1/web")
    assert len(caplog.messages) == 3


def test_another_status_is_another_complaint(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints("consul:8500")
    complaints.begin(BROKEN_DOWN, "/dc1/web")
    complaints.begin(FORBIDDEN, "/dc1/web")
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
