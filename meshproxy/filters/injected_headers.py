"""Adds headers with secret values to what is sent to an endpoint."""

from collections.abc import Sequence
from typing import Final

from meshproxy.config.injected_headers import InjectedHeaderConfig
from meshproxy.config.secrets import header_value
from meshproxy.errors import ProxyError
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.service import Service

_NEVER_WITH: Final = frozenset({b"TRACE", b"CONNECT"})
"""Methods whose response shows the request, or whose request the endpoint never sees."""


class SecretWithheld(ProxyError):
    """A request was not sent, as a secret header of it would not be encrypted."""

    reason = "secret_withheld"


class InjectHeaders:
    """Sets *headers* for one attempt, in place of the client's; the innermost filter.

    Nothing else sees their values, since the client's fields are back with the response. Over
    HTTP/2 they are never indexed (RFC 7541 section 7.1.3), whatever their names.
    """

    def __init__(self, headers: Sequence[InjectedHeaderConfig], *, is_tls: bool) -> None:
        self._headers = [
            (one.name.encode(), one.prefix.encode(), header_value(one.file)) for one in headers
        ]
        self._names = frozenset(name.lower() for name, _, _ in self._headers)
        self._withheld = ", ".join(
            one.name for one in headers if not (is_tls or one.over_plain_text)
        )

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the headers set. Raises SecretWithheld."""
        if request.method in _NEVER_WITH:
            return service(request)
        if self._withheld:
            raise SecretWithheld(
                f"Not sent: {self._withheld} would be readable on the way. Give the client `tls`, "
                "or the header `overPlainText: true`."
            )
        before = request.headers
        never_indexed = before.never_indexed | self._names
        headers = Headers(before.names.copy(), before.lines.copy(), never_indexed)
        for name, prefix, secret in self._headers:
            headers.set(name, prefix + secret.value)
        request.headers = headers
        try:
            return service(request)
        finally:
            request.headers = before
