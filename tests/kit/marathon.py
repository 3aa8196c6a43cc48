"""A Marathon: apps and their tasks, basic authentication, and the login of DC/OS.

Follows mesosphere.github.io/marathon/api-console, well enough for the client on PyPI.
"""

import base64
import json
from itertools import count
from typing import Any

import jwt

from .http_api import Asked, HttpApi, Said

Object = dict[str, Any]
LOGIN = "/acs/api/v1/auth/login"


class Marathon(HttpApi):
    """Serves until closed. Change what it runs by `run` and `destroy`."""

    def __init__(self, *, uri_prefix: str = "", **where: Any) -> None:
        self.apps: dict[str, Object] = {}
        self.tasks: dict[str, list[Object]] = {}
        self.basic: tuple[str, str] | None = None
        """The only user and password that are let in, if there are any."""
        self.accounts: dict[str, str] = {}
        """Service accounts and their public keys; with any, a token is needed."""
        self.logins = 0
        self._uri_prefix = [segment for segment in uri_prefix.split("/") if segment]
        self._tokens: set[str] = set()
        self._numbers = count(1)
        super().__init__(**where)

    # What it runs

    def run(self, app: str, *tasks: tuple[str, int] | Object, **more: Any) -> None:
        """Run *app* by *tasks*, which are hosts and ports, or what differs from a usual task."""
        self.apps[app] = {
            "id": app,
            "cmd": "serve",
            "instances": len(tasks),
            "healthChecks": [],
            "networks": [],
            "labels": {},
            "version": "2026-01-01T00:00:00.000Z",
            **more,
        }
        self.tasks[app] = [self._task(app, task) for task in tasks]

    def destroy(self, app: str) -> None:
        """Run *app* no more."""
        del self.apps[app], self.tasks[app]

    def expire(self) -> None:
        """Let no token be accepted any more."""
        self._tokens.clear()

    # How it answers

    def answer(self, asked: Asked) -> Said:
        """Answer as Marathon's HTTP API does, behind the gate of DC/OS."""
        if asked.method == "POST" and asked.target == LOGIN:
            return self._log_in(json.loads(asked.body))
        if not self._is_let_in(asked.get("Authorization")):
            return _json({"message": "Invalid username or password."}, 401)
        return self._answer(asked)

    def _answer(self, asked: Asked) -> Said:
        said = Said(404)
        segments = asked.segments
        if segments[: len(self._uri_prefix)] != self._uri_prefix:
            return said
        match asked.method, [one for one in segments[len(self._uri_prefix) :] if one]:
            case "GET", ["v2", "apps"]:
                said = _json({"apps": [self._counted(app) for app in self.apps]})
            case "GET", ["v2", "apps", *id_]:
                said = self._app("/" + "/".join(id_), asked.query)
            case "POST", ["v2", "apps"]:
                sent = json.loads(asked.body)
                self.run(sent.pop("id"), **sent)
                said = _json(self._counted(next(reversed(self.apps))), 201)
            case "DELETE", ["v2", "apps", *id_]:
                self.destroy("/" + "/".join(id_))
                said = _json({"version": "2026-01-01T00:00:00.000Z", "deploymentId": "d"})
        return said

    def _app(self, app: str, query: dict[str, str]) -> Said:
        if app not in self.apps:
            return _json({"message": f"App '{app}' does not exist"}, 404)
        tasks = {"tasks": self.tasks[app]} if query.get("embed") == "app.tasks" else {}
        return _json({"app": {**self._counted(app), **tasks}})

    def _counted(self, app: str) -> Object:
        running = sum(task["state"] == "TASK_RUNNING" for task in self.tasks[app])
        return {
            **self.apps[app],
            "tasksRunning": running,
            "tasksStaged": len(self.tasks[app]) - running,
            "deployments": [],
        }

    def _task(self, app: str, task: tuple[str, int] | Object) -> Object:
        given = {"host": task[0], "ports": [task[1]]} if isinstance(task, tuple) else task
        number = next(self._numbers)
        return {
            "id": f"{app.strip('/').replace('/', '_')}.instance-{number}",
            "appId": app,
            "host": "192.0.2.1",
            "ports": [31000 + number],
            "slaveId": "agent-1",
            "state": "TASK_RUNNING",
            "stagedAt": "2026-01-01T00:00:00.000Z",
            "startedAt": "2026-01-01T00:00:01.000Z",
            "version": "2026-01-01T00:00:00.000Z",
            "ipAddresses": [],
            **given,
        }

    def _is_let_in(self, authorization: str | None) -> bool:
        if self.accounts:
            return (authorization or "").removeprefix("token=") in self._tokens
        if self.basic is None:
            return True
        expected = base64.b64encode(":".join(self.basic).encode()).decode()
        return authorization == f"Basic {expected}"

    def _log_in(self, sent: Object) -> Said:
        self.logins += 1
        key = self.accounts.get(sent["uid"])
        try:
            claims = jwt.decode(sent["token"], key or "", ["RS256"])
        except jwt.PyJWTError as error:
            return _json({"message": str(error)}, 401)
        if claims["uid"] != sent["uid"]:
            return _json({"message": "another account"}, 401)
        token = f"token-{next(self._numbers)}"
        self._tokens.add(token)
        return _json({"token": token})


def service_account(uid: str, endpoint: str = f"https://leader.mesos{LOGIN}") -> tuple[str, str]:
    """Return the JSON of a new service account, and its public key."""
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415 - slow
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - slow

    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()
    ).decode()
    public = (
        key.public_key()
        .public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    credentials = {
        "login_endpoint": endpoint,
        "private_key": private,
        "scheme": "RS256",
        "uid": uid,
    }
    return json.dumps(credentials), public


def _json(value: object, status: int = 200) -> Said:
    return Said(status, json.dumps(value).encode(), (("Content-Type", "application/json"),))
