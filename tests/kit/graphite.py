"""npm's statsd, carbon and graphite-web, as a site runs them: each a process of its own.

statsd is looked for where npm puts packages, the other two in the environment `GRAPHITE`.
"""

import json
import os
import shutil
import socket as stdlib_socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import gevent

from . import npm
from .daemons import START_S, Daemon
from .wire import free_port, get

ROOT = Path(__file__).parent.parent.parent
ENVIRONMENT = ROOT / ".tox" / "graphite"
PACKAGES = ("carbon==1.1.10", "whisper==1.1.10", "graphite-web==1.1.10", "setuptools<80")
_STATSD = """{
  address: "127.0.0.1", port: %d, mgmt_address: "127.0.0.1", mgmt_port: %d,
  flushInterval: %d, deleteIdleStats: true, percentThreshold: [50, 90, 95, 99],
  backends: ["./backends/graphite"], graphiteHost: "127.0.0.1", graphitePort: %d,
  graphite: {legacyNamespace: false}
}"""
_CARBON = """[cache]
STORAGE_DIR = {home}/storage
LOCAL_DATA_DIR = {home}/storage/whisper
CONF_DIR = {home}/conf
LOG_DIR = {home}/storage/log
PID_DIR = {home}/storage
USER =
MAX_CACHE_SIZE = inf
MAX_UPDATES_PER_SECOND = inf
MAX_CREATES_PER_MINUTE = inf
ENABLE_TAGS = False
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
"""
_SCHEMAS = "[all]\npattern = .*\nretentions = 1s:1h\n"
_WEB = """
SECRET_KEY, TIME_ZONE, ALLOWED_HOSTS = {key!r}, "UTC", ["127.0.0.1", "localhost"]
STORAGE_DIR, CONF_DIR = {home!r} + "/storage", {home!r} + "/conf"
LOG_DIR = STORAGE_DIR + "/log"
WEBAPP_DIR = {webapp!r}
CARBONLINK_HOSTS = ["127.0.0.1:{query}"]
LOG_FILE_INFO = LOG_FILE_EXCEPTION = LOG_FILE_CACHE = LOG_FILE_RENDERING = "-"
DEFAULT_CACHE_DURATION = FIND_CACHE_DURATION = 0
"""


def statsd_script() -> str | None:
    """Return where npm's statsd is, if it and node are installed."""
    found = npm.package("statsd")
    return str(found / "stats.js") if found is not None else None


def missing() -> str | None:
    """Return what has to be installed before `Graphite` can start, None if nothing has."""
    if statsd_script() is None:
        return "the npm package statsd"
    if not (ENVIRONMENT / "bin" / "carbon-cache.py").exists():
        return "carbon and graphite-web (python -m tests.demo graphite installs them)"
    return None


def install() -> None:
    """Install whatever `missing` names, below .tox; raises CalledProcessError if that fails."""
    if statsd_script() is None:
        npm.install("statsd")
    if not (ENVIRONMENT / "bin" / "carbon-cache.py").exists():
        python = shutil.which("python3.11") or sys.executable  # Django 3 is not for the latest
        subprocess.run([python, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([ENVIRONMENT / "bin/pip", "install", "--quiet", *PACKAGES], check=True)


class Statsd(Daemon):
    """npm's statsd, which flushes to *carbon_port* each *flush_ms*."""

    def __init__(self, directory: Path, carbon_port: int, flush_ms: int = 1000) -> None:
        self.port, control = _free_udp_port(), free_port()
        config = directory / "statsd.js"
        config.write_text(_STATSD % (self.port, control, flush_ms, carbon_port))
        super().__init__(["node", statsd_script() or "", str(config)], directory / "statsd.log")
        self.wait_port(control)


class Graphite:
    """The three, each second one point of each series; a context manager.

    The address of statsd is 127.0.0.1:`statsd_port`, that of the pages `url`.
    """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        ports = {name: free_port() for name in ("line", "pickle", "query")}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        conf = self.home / "conf"
        conf.mkdir()
        for name in ("log", "whisper"):
            (self.home / "storage" / name).mkdir(parents=True)
        (conf / "carbon.conf").write_text(_CARBON.format(home=self.home, **ports))
        (conf / "storage-schemas.conf").write_text(_SCHEMAS)
        key = os.urandom(20).hex()
        webapp = str(ENVIRONMENT / "webapp")
        settings = _WEB.format(key=key, home=str(self.home), webapp=webapp, query=ports["query"])
        (self.home / "graphite_settings.py").write_text(settings)
        environ = os.environ | {
            "GRAPHITE_ROOT": str(self.home),
            "GRAPHITE_SETTINGS_MODULE": "graphite_settings",
            "DJANGO_SETTINGS_MODULE": "graphite.settings",
            "PYTHONPATH": str(self.home),
        }
        programs = ENVIRONMENT / "bin"
        carbon = [str(programs / "python"), str(programs / "carbon-cache.py")]
        options = [f"--config={conf}/carbon.conf", "--nodaemon", "start"]
        cache = stack.enter_context(Daemon(carbon + options, self.home / "carbon.log", environ))
        admin = str(programs / "django-admin")
        with Daemon([admin, "migrate", "--run-syncdb"], self.home / "migrate.log", environ) as one:
            assert one.process.wait(START_S) == 0, one.output()
        serve = [admin, "runserver", "--noreload", "--insecure", f"127.0.0.1:{self.port}"]
        web = stack.enter_context(Daemon(serve, self.home / "web.log", environ))
        cache.wait_port(ports["line"])
        self.statsd = stack.enter_context(Statsd(self.home, ports["line"]))
        self.statsd_port = self.statsd.port
        web.wait_port(self.port)

    def series(self, *targets: str, seconds: int = 300) -> dict[str, list[float]]:
        """Return the points of each series that *targets* give, oldest first, without gaps."""
        found = json.loads(self._render(targets, seconds, format="json"))
        return {
            one["target"]: [value for value, _ in one["datapoints"] if value is not None]
            for one in found
        }

    def picture(self, *targets: str, seconds: int = 300, **options: str | int) -> bytes:
        """Return the PNG that graphite-web draws of *targets*."""
        return self._render(targets, seconds, format="png", **options)

    def _render(self, targets: tuple[str, ...], seconds: int, **options: str | int) -> bytes:
        asked = [("target", one) for one in targets]
        query = urlencode([*asked, ("from", f"-{seconds}s"), *options.items()])
        reply = get(self.port, "127.0.0.1", f"/render?{query}")
        assert reply.status == 200, reply.body[-2000:]
        return reply.body

    def save_dashboard(self, name: str, state: dict[str, Any]) -> None:
        """Put a dashboard where its page finds it."""
        form = urlencode({"state": json.dumps(state | {"name": name})}).encode()
        sock = stdlib_socket.create_connection(("127.0.0.1", self.port), START_S)
        with sock, sock.makefile("rb") as answers:
            sock.sendall(
                b"POST /dashboard/save/%b HTTP/1.0\r\nHost: 127.0.0.1\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (name.encode(), len(form), form)
            )
            answer = answers.read()
        assert b" 200 " in answer.partition(b"\r\n")[0], answer[-2000:]

    def dashboard(self, name: str) -> dict[str, Any]:
        """Return the dashboard that was saved as *name*."""
        reply = get(self.port, "127.0.0.1", f"/dashboard/load/{name}")
        state: dict[str, Any] = json.loads(reply.body)["state"]
        return state

    def wait(self, target: str, least: float, seconds: int = 300) -> float:
        """Wait until the points of *target* come to *least* or more, and return their sum."""
        with gevent.Timeout(START_S):
            while True:
                found = sum(sum(points) for points in self.series(target, seconds=seconds).values())
                if found >= least:
                    return found
                gevent.sleep(0.2)


def _free_udp_port() -> int:
    """Return a port that was free a moment ago: statsd cannot choose one itself."""
    with stdlib_socket.socket(stdlib_socket.AF_INET, stdlib_socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
