"""The admin server as a table of paths, free of sockets and of the proxy's own messages.

(linkerd: admin/src/main/scala/io/buoyant/admin/Admin.scala)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from meshproxy.admin.security import Security

TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
CSS: Final = "text/css; charset=utf-8"

MAX_PARAMETERS: Final = 100
_STYLE_PATH: Final = "/files/style.css"
_STYLE: Final = b"""\
body { font: 14px sans-serif }
table { border-collapse: collapse }
th, td { border: 1px solid #bbb; padding: 4px 8px; text-align: left }
"""


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """What an operator asks for."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    """Decoded parameters; of several with one name the first."""
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, body: bytes = b"") -> "AdminRequest":
        """Take *target* apart; more than `MAX_PARAMETERS` parameters are read as none."""
        try:
            parts = urlsplit(target)
            pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            return cls(method, unquote(target.partition("?")[0]), {}, body)
        return cls(method, unquote(parts.path), dict(reversed(pairs)), body)

    def is_set(self, name: str) -> bool:
        """Return whether the parameter *name* says yes."""
        return self.query.get(name, "").lower() in ("true", "t", "1")


@dataclass(frozen=True, slots=True)
class AdminResponse:
    """The answer; whoever sends it adds Content-Length, and leaves the body out after HEAD."""

    body: bytes
    content_type: str = TEXT
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


AdminHandler = Callable[[AdminRequest], AdminResponse]


def text(body: str, status: int = 200, content_type: str = TEXT) -> AdminResponse:
    """Return *body* in UTF-8, as plain text unless told otherwise."""
    return AdminResponse(body.encode(), content_type, status)


def failure(status: int) -> AdminResponse:
    """Return the bare reason phrase of *status*."""
    return text(HTTPStatus(status).phrase + "\n", status)


def refuse_method(*allowed: str) -> AdminResponse:
    """Return 405 with the methods that work."""
    return replace(failure(405), headers=(("Allow", ", ".join(allowed)),))


def shown(render: Callable[[], tuple[str, bytes]]) -> AdminHandler:
    """Return the handler of a page that depends on nothing: its content type and its body."""

    def handle(request: AdminRequest) -> AdminResponse:
        if request.method != "GET":
            return refuse_method("GET", "HEAD")
        content_type, body = render()
        return AdminResponse(body, content_type)

    return handle


class Admin:
    """Finds the handler of a path; unknown paths are 404.

    It adds a page of links at `/`, their list at `/admin` and `/admin/index.txt`, and the style
    sheet of all pages.
    """

    def __init__(
        self, handlers: Mapping[str, AdminHandler], security: Security | None = None
    ) -> None:
        self._security = security or Security()
        pages = {
            "/": shown(lambda: (HTML, self._links().encode())),
            "/admin": shown(lambda: (TEXT, self._index().encode())),
            "/admin/index.txt": shown(lambda: (TEXT, self._index().encode())),
            **handlers,
        }
        self._paths = sorted(pages)
        self._handlers = {**pages, _STYLE_PATH: shown(lambda: (CSS, _STYLE))}

    def __call__(self, request: AdminRequest) -> AdminResponse:
        """Answer *request*; HEAD is answered as GET."""
        handler = self._handlers.get(request.path)
        if handler is None or not self._security.allows(request.path):
            return failure(404)
        if request.method == "HEAD":
            request = replace(request, method="GET")
        return handler(request)

    def _index(self) -> str:
        return "".join(path + "\n" for path in self._paths)

    def _links(self) -> str:
        items = "\n".join(
            f'<li><a href="{escape(quote(path))}">{escape(path)}</a></li>' for path in self._paths
        )
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<title>meshproxy</title><link rel="stylesheet" href="files/style.css"></head>\n'
            f"<body><h1>meshproxy</h1>\n<ul>\n{items}\n</ul></body></html>\n"
        )
