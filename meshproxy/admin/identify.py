"""The name that each router gives a request: the server on `httpIdentifierPort`.

linkerd: linkerd/admin/.../HttpIdentifierHandler.scala
"""

import json
from collections.abc import Callable, Mapping

from meshproxy.errors import ProxyError
from meshproxy.http import l5d
from meshproxy.http.message import Request, Response, text_response
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path

Identify = Callable[[Request], Path]


def identify_service(routers: Mapping[str, tuple[Identify, Dtab]], request: Request) -> Response:
    """Returns the name and the dtab that *request* would get from each of *routers*."""
    found = {label: _named(identify, dtab, request) for label, (identify, dtab) in routers.items()}
    return text_response(200, json.dumps(found, indent=2) + "\n", b"application/json")


def _named(identify: Identify, dtab: Dtab, request: Request) -> dict[str, str]:
    copy = Request(request.method, request.target, request.version, request.headers.copy())
    copy.peer, copy.scheme = request.peer, request.scheme
    try:
        local = l5d.take_dtab(copy.headers) or Dtab()
        return {"path": identify(copy).show(), "dtab": (dtab + local).show()}
    except ProxyError as error:
        return {"error": str(error)}
