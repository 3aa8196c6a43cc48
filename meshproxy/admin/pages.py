"""The admin server as a table of paths, without sockets and the proxy's own messages.

(linkerd: admin/src/main/scala/io/buoyant/admin/Admin.scala)
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from importlib import resources
from typing import Final, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from meshproxy.admin.help import PATH as HELP
from meshproxy.admin.help import help_page
from meshproxy.admin.security import Security
from meshproxy.http.body import Body

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"

MAX_PARAMETERS: Final = 100
_SITE: Final = resources.files("meshproxy.admin") / "site"
_SCRIPTS: Final = ("delegator", "dom", "lists", "overview", "page", "requests", "settings", "table")
_SVG: Final = "image/svg+xml"
_FILES: Final = {
    **{f"/files/{name}.js": "text/javascript; charset=utf-8" for name in _SCRIPTS},
    "/files/icon.svg": _SVG,
    "/favicon.ico": _SVG,
    "/files/style.css": "text/css; charset=utf-8",
}
"""What pages use by its path; browsers ask for the second icon where a page is only text."""
_ICON: Final = "icon.svg"


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """A request of an operator."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    """Decoded parameters; the first one if several have the same name."""
    body: bytes = b""
    content_type: str = ""
    host: str = ""
    """The field Host as received."""
    accept: str = ""
    """The field Accept as received."""

    @classmethod
    def of(
        cls,
        method: str,
        target: str,
        body: bytes = b"",
        content_type: str = "",
        host: str = "",
        accept: str = "",
    ) -> "AdminRequest":
        """Splits *target*; if it has more than `MAX_PARAMETERS` parameters, they are ignored."""
        try:
            # two slashes at its begin are no authority (RFC 9112 section 3.2.1)
            parts = urlsplit(f"//-{target}" if target.startswith("/") else target)
            pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            path = unquote(target.partition("?")[0])
            return cls(method, path, {}, body, content_type, host, accept)
        query = dict(reversed(pairs))
        return cls(method, unquote(parts.path), query, body, content_type, host, accept)

    def is_set(self, name: str) -> bool:
        """Returns True if the parameter *name* is set to yes."""
        return self.query.get(name, "").lower() in ("true", "t", "1")

    def number(self, name: str, otherwise: int) -> int:
        """Returns the parameter *name*; *otherwise* if it is no number of up to eight digits."""
        written = self.query.get(name, "")
        return int(written) if written.isdecimal() and len(written) < 9 else otherwise

    def form(self) -> Mapping[str, str]:
        """Returns the fields of a form in the body, and parameters with other names.

        If there are more than `MAX_PARAMETERS` fields, they are ignored.
        """
        try:
            body = self.body.decode("utf-8", "replace")
            pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            pairs = []
        return {**self.query, **dict(reversed(pairs))}


@dataclass(frozen=True, slots=True)
class AdminResponse:
    """A response; the sender adds Content-Length, and omits the body after HEAD."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    stream: Body | None = None
    """Sent instead of `body` while it is made, if there is one."""


AdminHandler = Callable[[AdminRequest], AdminResponse]


def text(body: str, status: int = 200, content_type: str = TEXT) -> AdminResponse:
    """Returns *body* in UTF-8, as plain text by default."""
    return AdminResponse(body.encode(), content_type, status)


def failure(status: int) -> AdminResponse:
    """Returns a response with only the reason phrase of *status*."""
    return text(HTTPStatus(status).phrase + "\n", status)


def refuse_method(*allowed: str) -> AdminResponse:
    """Returns 405 with the methods allowed."""
    return replace(failure(405), headers=(("Allow", ", ".join(allowed)),))


_READ_ONLY: Final = refuse_method("GET", "HEAD")


def shown(render: Callable[[], tuple[str, bytes]]) -> AdminHandler:
    """Returns the handler of a page without parameters; *render* makes content type and body."""

    def handle(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return _READ_ONLY
        content_type, body = render()
        return AdminResponse(body, content_type)

    return handle


@dataclass(frozen=True, slots=True)
class Action:
    """The handler of a page that changes the process; it accepts only POST."""

    act: AdminHandler

    def __call__(self, request: AdminRequest) -> AdminResponse:
        """Returns the response to *request*."""
        return self.act(request) if request.method == "POST" else refuse_method("POST")


class Elsewhere(Protocol):
    """Pages made by other processes."""

    def paths(self) -> Iterable[str]:
        """Returns the paths of all of them."""
        ...

    def __call__(self, request: AdminRequest) -> AdminResponse:
        """Returns the response to *request*; 404 if it is for none of them."""
        ...


def _file(name: str, content_type: str) -> AdminHandler:
    body = (_SITE / name).read_bytes()
    return shown(lambda: (content_type, body))


class Admin:
    """Finds the handler of a path, with or without a slash at its end; unknown paths are 404.

    It adds the overview at `/`, a page about all paths at `/help`, their list at `/admin` and
    `/admin/index.txt`, and the files that pages use.
    """

    def __init__(
        self,
        handlers: Mapping[str, AdminHandler],
        security: Security | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._security = security or Security()
        self._elsewhere = elsewhere
        index = shown(lambda: (TEXT, "".join(f"{path}\n" for path in self.paths()).encode()))
        self._pages = {
            "/": _file("index.html", HTML),
            HELP: shown(lambda: (HTML, self._help().encode())),
            "/admin": index,
            "/admin/index.txt": index,
            **handlers,
        }
        self._files = {
            path: _file(_ICON if kind == _SVG else path.rpartition("/")[2], kind)
            for path, kind in _FILES.items()
        }

    def __call__(self, asked: AdminRequest) -> AdminResponse:
        """Returns the response to what is *asked*; HEAD is treated as GET."""
        path = asked.path.rstrip("/") or "/"
        method = "GET" if asked.method == "HEAD" else asked.method
        request = replace(asked, path=path, method=method)
        if not self._security.allows(path):
            return failure(404)
        handler = self._files.get(path) or self._pages.get(path, self._elsewhere)
        if handler is None:
            return failure(404)
        response = handler(request)
        is_seen = response.content_type == HTML and "text/html" in asked.accept
        return _without_slashes(asked, path) if is_seen and asked.path != path else response

    def paths(self) -> list[str]:
        """Returns the paths of all pages, sorted."""
        elsewhere = () if self._elsewhere is None else self._elsewhere.paths()
        return sorted(filter(self._security.allows, {*self._pages, *elsewhere}))

    def _help(self) -> str:
        actions = [path for path, page in self._pages.items() if isinstance(page, Action)]
        return help_page(self.paths(), actions)


def _without_slashes(request: AdminRequest, path: str) -> AdminResponse:
    """Returns a redirect to *path*: at one with slashes behind it, a browser misreads links."""
    up = "../" * (len(request.path) - len(path))
    query = f"?{urlencode(request.query)}" if request.query else ""
    to = up + quote(path.rpartition("/")[2]) + query
    return AdminResponse(b"", status=308, headers=(("Location", to),))
