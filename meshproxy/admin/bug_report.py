"""`/admin/bug-report.zip`: the pages that explain a fault, in one file that can be passed on.

Secrets are left out, as the pages show none, and so are the queries of requests. The file is made
a slice at a time, so that requests go on meanwhile, and its size is bounded.
"""

import io
import json
import platform
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Final

from meshproxy import __version__
from meshproxy.admin.pages import AdminHandler, AdminRequest, AdminResponse, refuse_method, text
from meshproxy.net.turn import next_turn

PATH: Final = "/admin/bug-report.zip"
MAX_PAGE: Final = 4 * 1024 * 1024
"""Bytes of a page; what follows is cut off."""
MAX_TOTAL: Final = 32 * 1024 * 1024
"""Bytes of all pages before they are compressed; the rest of them is left out."""
_SLICE: Final = 65_536
_PAGES: Final[Mapping[str, Mapping[str, str]]] = {
    "/admin/server_info": {},
    "/config.json": {},
    "/overview.json": {"limit": "1000"},
    "/requests.json": {"failed": "1", "limit": "1000"},
    "/events.json": {},
    "/admin/metrics.json": {"pretty": "true"},
    "/client_state.json": {},
    "/discovery.json": {"limit": "1000"},
    "/bound-names.json": {},
    "/admin/workers.json": {},
    "/logging.json": {},
    "/admin/threads": {},
    "/ready": {},
}
"""The pages and their parameters, the most useful first; states of discovery follow."""
_STATES: Final = ("/namer_state/", "/interpreter_state/")
_README: Final = """\
A report of meshproxy {version}, made at {now}.

One file for each page of the admin server. Secrets of the configuration and the queries of
requests are left out; names, hosts and addresses are not: look through it before you pass it on.
"""


@dataclass(slots=True)
class BugReport:
    """The page: asks *admin* for the others, whose paths are those of *paths*."""

    admin: AdminHandler
    paths: Callable[[], Iterable[str]]
    _is_busy: bool = False

    def __call__(self, request: AdminRequest) -> AdminResponse:
        """Returns the file; 503 while another one is made."""
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        if self._is_busy:
            return text("Another report is being made, ask again in a moment.\n", 503)
        self._is_busy = True
        try:
            body = _zipped(self._files())
        finally:
            self._is_busy = False
        name = time.strftime("meshproxy-%Y%m%dT%H%M%SZ.zip", time.gmtime())
        attached = ("Content-Disposition", f'attachment; filename="{name}"')
        return AdminResponse(body, "application/zip", 200, (attached,))

    def _files(self) -> Iterator[tuple[str, bytes]]:
        """Yields the names of the files and what is in them."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        yield "README.txt", _README.format(version=__version__, now=now).encode()
        yield "versions.json", json.dumps(versions(), indent=2).encode()
        known = set(self.paths())
        states = sorted(path for path in known if any(part in path for part in _STATES))
        for path in (*(one for one in _PAGES if one in known), *states):
            answer = self.admin(AdminRequest("GET", path, _PAGES.get(path, {})))
            yield _file_name(path, answer), answer.body


def versions() -> dict[str, str]:
    """Returns the versions of this program, of what it runs on, and of what it depends on."""
    found = {
        "meshproxy": __version__,
        "python": sys.version,
        "platform": platform.platform(),
    }
    for name in ("gevent", "greenlet", "urllib3", "PyYAML", "statsd", "dnspython"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _file_name(path: str, answer: AdminResponse) -> str:
    """Returns the name of the file for *path*, without anything that means something in a path."""
    name = "".join(one if one.isalnum() or one in ".-_" else "_" for one in path.strip("/"))
    kind = "" if name.endswith(".json") else ".json" if "json" in answer.content_type else ".txt"
    status = "" if answer.status == 200 else f".{answer.status}"
    return f"{name}{status}{kind}"


def _zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    kept, left = io.BytesIO(), MAX_TOTAL
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files:
            cut = body[: min(MAX_PAGE, left)]
            left -= len(cut)
            if not cut:
                continue
            with archive.open(f"{name}.cut" if len(cut) < len(body) else name, "w") as file:
                for first in range(0, len(cut), _SLICE):
                    file.write(cut[first : first + _SLICE])
                    next_turn()
    return kept.getvalue()
