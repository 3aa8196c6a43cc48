"""A request that somebody asks about, and that nobody sends."""

from collections.abc import Iterable
from typing import Final

from meshproxy.errors import ProxyError
from meshproxy.http.head import parse_request
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request
from meshproxy.http.target import origin_form, scheme_of

_EVERY_PORT: Final = frozenset(range(65536))
_MAX_BYTES: Final = Limits().header_bytes


def asked_request(line: str, fields: Iterable[str]) -> Request:
    """Returns the request of *line*, such as `GET http://web/a`, with the header *fields*.

    Raises ValueError if it could not be sent.
    """
    words = line.split()
    method, target = words if len(words) == 2 else ("GET", *words) if len(words) == 1 else ("", "")
    if not target:
        raise ValueError(f"{line!r} is no request, write one such as 'GET http://web/a'")
    lines = [field.strip() for field in fields if field.strip()]
    if not any(one.lower().startswith("host:") for one in lines):
        lines.append(f"Host: {_host_of(target)}")
    head = "\r\n".join((f"{method} {target} HTTP/1.1", *lines))
    if len(head) > _MAX_BYTES:
        raise ValueError(f"the request is longer than {_MAX_BYTES} bytes")
    try:
        asked, target_, version, headers = parse_request(head.encode("latin-1"))
        form = origin_form(asked, target_, version, headers, _EVERY_PORT)
    except (ProxyError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from error
    request = Request(asked, form, version, headers)
    request.scheme = scheme_of(target_)
    return request


def _host_of(target: str) -> str:
    """Returns the authority of a URL; a name that matters to nobody for a path."""
    return target.partition("://")[2].partition("/")[0].partition("?")[0] or "localhost"
