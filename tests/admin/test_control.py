import json

import pytest

from meshproxy import __version__
from meshproxy.admin.control import control, duration
from meshproxy.admin.pages import Admin, AdminRequest


class Door:
    """An admin table whose shutdown only notes what it was asked."""

    def __init__(self) -> None:
        self.graces: list[float | None] = []
        self.wrong: str | None = None
        self.reloads = 0
        self.drained: list[bool] = []
        self.admin = Admin(
            control(
                configuration=b'{"routers": []}',
                shutdown=self.graces.append,
                reload=self._reload,
                drain=self._drain,
                uptime=lambda: 1.5,
                started_at=0,
            )
        )

    def _drain(self, *, on: bool) -> None:
        self.drained.append(on)

    def _reload(self) -> str | None:
        self.reloads += 1
        return self.wrong


@pytest.mark.parametrize(
    ("wrong", "status", "body"),
    [
        (None, 200, b"reloaded\n"),
        ("a.yaml:1:1: no\na.yaml:2:1: no", 400, b"a.yaml:1:1: no\na.yaml:2:1: no\n"),
    ],
)
def test_a_post_reloads(wrong: str | None, status: int, body: bytes) -> None:
    door = Door()
    door.wrong = wrong
    got = door.admin(AdminRequest("POST", "/admin/reload"))
    assert (got.status, got.body, door.reloads) == (status, body, 1)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_no_other_method_reloads(method: str) -> None:
    door = Door()
    got = door.admin(AdminRequest(method, "/admin/reload"))
    assert (got.status, got.headers, door.reloads) == (405, (("Allow", "POST"),), 0)


def test_who_cannot_reload_has_no_such_page() -> None:
    page = control(
        configuration=b"", shutdown=print, reload=None, drain=print, uptime=float, started_at=0
    )
    assert "/admin/reload" not in page


def test_ping() -> None:
    got = Door().admin(AdminRequest("GET", "/admin/ping"))
    assert (got.status, got.body) == (200, b"pong")


def test_the_configuration_is_shown_as_given() -> None:
    got = Door().admin(AdminRequest("GET", "/config.json"))
    assert (got.content_type, got.body) == ("application/json", b'{"routers": []}')


def test_the_build_is_shown() -> None:
    got = json.loads(Door().admin(AdminRequest("GET", "/admin/server_info")).body)
    assert got["version"] == __version__
    assert got["start_time"] == "1970-01-01T00:00:00+00:00"
    assert got["uptime"] == 1500


@pytest.mark.parametrize(
    ("target", "grace"),
    [
        ("/admin/shutdown", None),
        ("/admin/shutdown?grace=10.seconds", 10),
        ("/admin/shutdown?grace=1.minute%2B500.milliseconds", 60.5),
    ],
)
def test_a_post_shuts_down(target: str, grace: float | None) -> None:
    door = Door()
    got = door.admin(AdminRequest.of("POST", target))
    assert (got.status, got.body) == (200, b"quitting\n")
    assert door.graces == [grace]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_no_other_method_shuts_down(method: str) -> None:
    door = Door()
    got = door.admin(AdminRequest(method, "/admin/shutdown"))
    assert (got.status, got.headers) == (405, (("Allow", "POST"),))
    assert door.graces == []


def test_a_grace_that_is_no_duration_is_refused_and_nothing_closes() -> None:
    door = Door()
    got = door.admin(AdminRequest.of("POST", "/admin/shutdown?grace=soon"))
    assert got.status == 400
    assert door.graces == []


@pytest.mark.parametrize(
    "written", ["", "10", "10.", ".seconds", "-1.seconds", "1.week", "9" * 16 + ".days"]
)
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration(written)


def test_durations() -> None:
    assert duration("1.second") == 1
    assert duration("2.hours+1.day") == 93600
    assert duration("1.microsecond") == pytest.approx(1e-6)


def test_a_post_drains_and_another_one_undoes_it() -> None:
    door = Door()
    post = AdminRequest("POST", "/admin/drain")
    assert door.admin(post).body == b"draining\n"
    undo = AdminRequest("POST", "/admin/drain", body=b"undo=true")
    assert door.admin(undo).body == b"no longer draining\n"
    assert door.admin(AdminRequest("GET", "/admin/drain")).status == 405
    assert door.drained == [True, False]
