"""The double of Marathon, as an independent client sees it: marathon."""

from collections.abc import Iterator

import marathon
import pytest
from marathon.models import MarathonApp

from .marathon import Marathon


@pytest.fixture
def server() -> Iterator[Marathon]:
    with Marathon() as server:
        yield server


def client_of(server: Marathon, **more: str) -> marathon.MarathonClient:
    return marathon.MarathonClient(f"http://127.0.0.1:{server.port}", timeout=10, **more)


@pytest.fixture
def client(server: Marathon) -> Iterator[marathon.MarathonClient]:
    client = client_of(server)
    yield client
    client.session.close()


def test_a_client_sees_apps_and_their_tasks(
    server: Marathon, client: marathon.MarathonClient
) -> None:
    server.run("/shop/web", ("10.0.0.1", 31001), {"host": "10.0.0.2", "state": "TASK_STAGING"})
    server.run("/other")
    assert {app.id for app in client.list_apps()} == {"/shop/web", "/other"}
    app = client.get_app("/shop/web", embed_tasks=True)
    assert (app.tasks_running, app.tasks_staged) == (1, 1)
    assert next((task.host, task.ports[0]) for task in app.tasks) == ("10.0.0.1", 31001)
    assert client.get_app("/shop/web").tasks == []


def test_a_client_starts_and_ends_apps(server: Marathon, client: marathon.MarathonClient) -> None:
    assert client.create_app("/web", MarathonApp(cmd="serve")).id == "/web"
    assert list(server.apps) == ["/web"]
    client.delete_app("/web")
    with pytest.raises(marathon.NotFoundError):
        client.get_app("/web")


def test_a_password_is_asked_for(server: Marathon, client: marathon.MarathonClient) -> None:
    server.basic = ("user", "password")
    with pytest.raises(marathon.MarathonHttpError):
        client.list_apps()
    other = client_of(server, username="user", password="password")
    assert other.list_apps() == []
    other.session.close()


def test_a_token_is_asked_for(server: Marathon) -> None:
    server.accounts["me"] = "a key"
    client = client_of(server, auth_token="none")
    with pytest.raises(marathon.MarathonHttpError):
        client.list_apps()
    server._tokens.add("none")
    assert client.list_apps() == []
    client.session.close()
