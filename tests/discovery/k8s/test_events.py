import json

import pytest

from meshproxy.discovery.k8s.events import read_event
from meshproxy.discovery.watching.failure import ApiFailure, Reason


@pytest.mark.parametrize("type_", ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"])
def test_an_event_has_a_type_and_an_object(type_: str) -> None:
    assert read_event(json.dumps({"type": type_, "object": {"a": 1}}).encode()) == (type_, {"a": 1})


@pytest.mark.parametrize(
    ("code", "reason"), [(410, Reason.GONE), (500, Reason.STATUS), (None, Reason.STATUS)]
)
def test_an_error_is_a_failure(code: int | None, reason: Reason) -> None:
    line = {"type": "ERROR", "object": {"code": code, "message": "too old"}}
    with pytest.raises(ApiFailure, match=r"the watch ended with .*too old") as raised:
        read_event(json.dumps(line).encode())
    assert raised.value.reason is reason


@pytest.mark.parametrize(
    "line",
    [b"nonsense", b"[]", b"1", b"{}", b'{"type": "ADDED"}', b'{"type": "ADDED", "object": []}',
     b'{"object": {}}', b'{"type": "NEW", "object": {}}', b'{"type": ["ADDED"], "object": {}}'],
)  # fmt: skip
def test_what_is_no_event_is_malformed(line: bytes) -> None:
    with pytest.raises(ApiFailure) as raised:
        read_event(line)
    assert raised.value.reason is Reason.MALFORMED
