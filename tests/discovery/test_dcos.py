"""Logins with a service account of DC/OS."""

import builtins
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gevent
import pytest

from meshproxy.discovery import dcos
from meshproxy.discovery.dcos import Credentials, ServiceAccount
from meshproxy.discovery.watching.api import Api, Bounds
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.var import Var
from tests.kit.marathon import LOGIN, Marathon, service_account
from tests.kit.wire import WAIT_S

TEXT, PUBLIC = service_account("me")
APPS = "/v2/apps"


@pytest.fixture
def server() -> Iterator[Marathon]:
    with Marathon() as server:
        server.accounts["me"] = PUBLIC
        yield server


@pytest.fixture
def line(server: Marathon) -> Iterator[Line]:
    with closing(Line(api_of(server), lambda: None)) as line:
        yield line


def api_of(server: Marathon) -> Api:
    where = Var(AddrBound(frozenset({Address("127.0.0.1", server.port)})))
    return Api(where, "marathon.mesos", bounds=Bounds(pace_s=0.0))


def test_it_logs_in_once_and_shows_the_token(server: Marathon, line: Line) -> None:
    account = ServiceAccount(Credentials.parse(TEXT))
    for _ in range(2):
        assert account.ask(line, APPS).status == 200
    assert server.targets() == [LOGIN, APPS, APPS]
    login = server.asked[0]
    assert login.method == "POST"
    assert login.get("Content-Type") == "application/json"
    assert login.get("Authorization") is None
    assert json.loads(login.body).keys() == {"uid", "token"}


def test_a_token_that_expired_is_renewed_once_for_all(server: Marathon) -> None:
    account = ServiceAccount(Credentials.parse(TEXT))
    lines = [Line(api_of(server), lambda: None) for _ in range(5)]
    account.ask(lines[0], APPS)
    server.expire()
    asking = [gevent.spawn(account.ask, line, APPS) for line in lines]
    assert [one.get(timeout=WAIT_S).status for one in asking] == [200] * 5
    assert server.logins == 2
    for line in lines:
        line.close()


def test_a_login_that_is_refused_fails_for_all(server: Marathon) -> None:
    server.accounts["me"] = service_account("me")[1]
    account = ServiceAccount(Credentials.parse(TEXT))
    lines = [Line(api_of(server), lambda: None) for _ in range(5)]
    asking = [gevent.spawn(account.ask, line, APPS) for line in lines]
    for one in asking:
        with pytest.raises(ApiFailure) as raised:
            one.get(timeout=WAIT_S)
        assert raised.value.status == 401
    assert server.logins == 1
    for line in lines:
        line.close()


def test_a_login_that_was_refused_is_tried_again_later(
    server: Marathon, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dcos, "RETRY_S", 0.0)
    account = ServiceAccount(Credentials.parse(TEXT))
    server.faults["login"] = 500
    with pytest.raises(ApiFailure, match="500"):
        account.ask(line, APPS)
    server.faults.clear()
    assert account.ask(line, APPS).status == 200


def test_a_question_that_is_refused_after_a_login_is_a_failure(
    server: Marathon, line: Line
) -> None:
    account = ServiceAccount(Credentials.parse(TEXT))
    server.faults["apps"] = 401
    with pytest.raises(ApiFailure) as raised:
        account.ask(line, APPS)
    assert raised.value.status == 401
    assert server.logins == 2


@pytest.mark.parametrize("fault", ["garbage", "other json"])
def test_a_login_that_brings_no_token_is_a_failure(
    server: Marathon, line: Line, fault: Any
) -> None:
    server.faults["login"] = fault
    with pytest.raises(ApiFailure, match="the answer to the login") as raised:
        ServiceAccount(Credentials.parse(TEXT)).ask(line, APPS)
    assert raised.value.reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"uid": None}, "needs login_endpoint, private_key, scheme and uid"),
        ({"uid": 7}, "needs login_endpoint"),
        ({"login_endpoint": ""}, "needs login_endpoint"),
        ({"scheme": "HS256"}, "has the scheme 'HS256', only RS256 is supported"),
        ({"private_key": "no key"}, "has a private_key that cannot sign"),
    ],
)
def test_credentials_of_no_use_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Credentials.parse(json.dumps(json.loads(TEXT) | change))


def test_credentials_that_are_no_json_are_refused() -> None:
    with pytest.raises(ValueError, match="is not JSON"):
        Credentials.parse("{")


def test_without_its_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def absent(name: str, *more: Any) -> Any:
        if name == "jwt":
            raise ImportError(name)
        return original(name, *more)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ValueError, match=r"pip install 'meshproxy\[dcos\]'"):
        Credentials.parse(TEXT)
