"""The admin pages as a Service, so that they use the proxy's own server code."""

from meshproxy.admin.pages import Admin, AdminRequest
from meshproxy.http.headers import of
from meshproxy.http.message import REASONS, Request, Response, text_response

MAX_BODY = 65536


def admin_service(admin: Admin, request: Request) -> Response:
    """Serves *request* with the pages of *admin*; refuses a body over 64 KiB with 413."""
    body = b""
    if request.body is not None:
        for piece in request.body:
            body += piece
            if len(body) > MAX_BODY:
                return text_response(413, "The body is larger than any page needs.\n")
    method, target = request.method.decode("ascii"), request.target.decode("latin-1")
    content_type = (request.headers.get(b"content-type") or b"").decode("latin-1")
    host = (request.headers.get(b"host") or b"").decode("latin-1")
    accept = (request.headers.get(b"accept") or b"").decode("latin-1")
    found = admin(AdminRequest.of(method, target, body, content_type, host, accept))
    headers = of((b"Content-Type", found.content_type.encode("latin-1")))
    if found.stream is None:
        headers.add(b"Content-Length", b"%d" % len(found.body))
    for name, value in found.headers:
        headers.add(name.encode("ascii"), value.encode("latin-1"))
    reason = REASONS.get(found.status, b"")
    return Response(found.status, reason, headers, found.stream or found.body)
