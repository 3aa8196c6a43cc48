"""What /live and /ready answer."""

import pytest

from meshproxy.admin.pages import Admin, AdminRequest
from meshproxy.admin.probes import probes


@pytest.mark.parametrize(
    ("why", "path", "status", "body"),
    [
        (None, "/live", 200, b"live\n"),
        ("ending", "/live", 200, b"live\n"),
        (None, "/ready", 200, b"ready\n"),
        ("ending", "/ready", 503, b"ending\n"),
    ],
)
def test_a_probe_is_answered(why: str | None, path: str, status: int, body: bytes) -> None:
    got = Admin(probes(lambda: why))(AdminRequest("GET", path))
    assert (got.status, got.body) == (status, body)


@pytest.mark.parametrize("path", ["/live", "/ready"])
def test_a_probe_is_no_post(path: str) -> None:
    assert Admin(probes(lambda: None))(AdminRequest("POST", path)).status == 405
