"""The apps of Marathon: mesosphere.github.io/marathon/api-console.

linkerd: marathon/src/main/scala/io/buoyant/marathon/v2/Api.scala.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from meshproxy.discovery.dcos import ServiceAccount
from meshproxy.discovery.members import Members
from meshproxy.discovery.watching.api import Api
from meshproxy.discovery.watching.decoding import member, read_list
from meshproxy.discovery.watching.line import Line, Reply
from meshproxy.naming.addr import Address
from meshproxy.naming.path import Path

_RUNNING: Final = "TASK_RUNNING"


class Marathon:
    """Asks one Marathon, below *uri_prefix*, and as *account* if there is one."""

    def __init__(
        self,
        api: Api,
        uri_prefix: str = "",
        account: ServiceAccount | None = None,
        *,
        checks_health: bool = False,
    ) -> None:
        self.api = api
        self._apps = f"{uri_prefix}/v2/apps"
        self._account = account
        self._checks_health = checks_health

    def apps(self, line: Line) -> frozenset[Path]:
        """Returns the ids of all apps in lower case. Raises ApiFailure or Malformed."""
        ids, _ = read_list(self._ask(line, self._apps).body, _app_id, "apps")
        return frozenset(ids)

    def members(self, line: Line, app: Path) -> Members:
        """Returns the addresses of the tasks of *app*. Raises ApiFailure or Malformed."""
        id_ = "/".join(quote(segment, safe="") for segment in app)
        reply = self._ask(line, f"{self._apps}/{id_}?embed=app.tasks")
        tasks, others = read_list(reply.body, _task, "app", "tasks")
        if self._checks_health:
            checks = others.get("healthChecks")
            number = len(checks) if isinstance(checks, list) else 0
            tasks = [task for task in tasks if task.is_running and task.alive >= number]
        return Members.of(filter(None, (_address(task, _own_port(others)) for task in tasks)))

    def _ask(self, line: Line, target: str) -> Reply:
        if self._account is None:
            return line.ask(target)
        return self._account.ask(line, target)


class _Task(NamedTuple):
    """The used fields of a task, as they were sent."""

    host: Any
    port: Any
    own_address: Any
    is_running: bool
    alive: int
    """Number of health checks that it passes."""


def _app_id(app: Any) -> Path | None:
    id_ = member(app, "id")
    if not isinstance(id_, str):
        return None
    return Path.of(*filter(None, id_.lower().split("/")))


def _task(sent: Any) -> _Task:
    results = member(sent, "healthCheckResults")
    return _Task(
        member(sent, "host"),
        _first(member(sent, "ports")),
        member(_first(member(sent, "ipAddresses")), "ipAddress"),
        member(sent, "state") == _RUNNING,
        sum(member(result, "alive") is True for result in results)
        if isinstance(results, list)
        else 0,
    )


def _own_port(app: Mapping[str, Any]) -> Any:
    """Returns the port at which each task has an address of its own, if *app* runs that way."""
    ports = member(app.get("ipAddress"), "discovery", "ports")
    return member(_first(ports), "number")


def _address(task: _Task, own_port: Any) -> Address | None:
    host, port = (task.host, task.port) if own_port is None else (task.own_address, own_port)
    if not (host and isinstance(host, str) and isinstance(port, int) and 0 < port < 65536):
        return None
    return Address(host, port)


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None
