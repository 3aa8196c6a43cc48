import pytest

from meshproxy.server import date
from meshproxy.server.date import date_line


def test_the_date_changes_with_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(date, "time", lambda: 1.9)
    assert date_line() == b"Date: Thu, 01 Jan 1970 00:00:01 GMT"
    monkeypatch.setattr(date, "time", lambda: 2.0)
    assert date_line() == b"Date: Thu, 01 Jan 1970 00:00:02 GMT"
