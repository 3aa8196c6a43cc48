"""Every header of the mesh, and how its values are read and written.

linkerd: linkerd/protocol/http/.../finagle/buoyant/linkerd/LinkerdHeaders.scala
"""

from dataclasses import replace
from urllib.parse import quote_plus, unquote_plus

from meshproxy.errors import BadDtabHeader
from meshproxy.http.deadline import Deadline
from meshproxy.http.headers import Headers
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.parser import ParseError

DTAB = b"l5d-dtab"
CTX_DTAB = b"l5d-ctx-dtab"
CTX_DEADLINE = b"l5d-ctx-deadline"
CTX_TRACE = b"l5d-ctx-trace"
SAMPLE = b"l5d-sample"
REQID = b"l5d-reqid"
DST_SERVICE = b"l5d-dst-service"
DST_CLIENT = b"l5d-dst-client"
DST_RESIDUAL = b"l5d-dst-residual"
ERR = b"l5d-err"
RETRYABLE = b"l5d-retryable"
SUCCESS_CLASS = b"l5d-success-class"
FORWARDED_CLIENT_CERT = b"x-forwarded-client-cert"

OVERWRITTEN = frozenset({DST_SERVICE, DST_CLIENT, DST_RESIDUAL, REQID, FORWARDED_CLIENT_CERT})
"""Never trusted when a client sends them."""
MAX_ENTRIES = 256
MAX_ERROR = 1024
"""Bytes of `l5d-err`: an error must not fill the head that it comes in."""
_NEAR = 100
"""Bytes by which a cut may move back to the end of a word."""


def is_ours(name: bytes) -> bool:
    """Returns True if the field, in lower case, is one of the mesh's."""
    return name.startswith(b"l5d-")


def take_dtab(headers: Headers) -> Dtab | None:
    """Reads and removes the dtab headers; those of the context come first, so the user's own win.

    Raises BadDtabHeader with the parser's message, or if there are more than 256 entries.
    """
    values = headers.get_all(CTX_DTAB) + headers.get_all(DTAB)
    headers.remove(CTX_DTAB)
    headers.remove(DTAB)
    try:
        tables = [Dtab.parse(text.decode("latin-1"), limit=MAX_ENTRIES) for text in values]
    except ParseError as error:
        raise BadDtabHeader(str(error)) from error
    dtab = sum(tables, start=Dtab())
    if len(dtab) > MAX_ENTRIES:
        raise BadDtabHeader(f"more than {MAX_ENTRIES} delegations in the dtab headers")
    return Dtab(replace(entry, by_request=True) for entry in dtab) or None


def take_deadline(headers: Headers) -> Deadline | None:
    """Removes the valid deadlines and returns the strictest of them, or None."""
    deadline: Deadline | None = None
    for value in headers.get_all(CTX_DEADLINE):
        found = Deadline.decode(value)
        if found is not None:
            deadline = found.combined(deadline)
    if deadline is not None:
        headers.remove(CTX_DEADLINE)
    return deadline


def put_deadline(headers: Headers, deadline: Deadline | None) -> None:
    """Makes *deadline* the only one in the headers; None removes it."""
    if CTX_DEADLINE in headers.names:
        headers.remove(CTX_DEADLINE)
    if deadline is not None:
        headers.write(CTX_DEADLINE, b"%d %d" % deadline)


def encode_error(message: str, limit: int) -> bytes:
    """Returns *message* in the form encoding of ISO-8859-1, as `l5d-err` carries it.

    The result has at most *limit* bytes, and never more than 1024. A cut never splits an escape,
    nor a word if one ends nearby.
    """
    encoded = quote_plus(message.encode("latin-1", "replace"), safe="*").replace("~", "%7E")
    limit = min(limit, MAX_ERROR)
    if len(encoded) > limit:
        encoded = encoded[:limit]
        escape = encoded.find("%", -2)
        encoded = encoded if escape < 0 else encoded[:escape]
        word = max(encoded.rfind("+"), encoded.rfind("%0A"))
        encoded = encoded[:word] if word > max(limit - _NEAR, 0) else encoded
    return encoded.encode("ascii")


def error_text(headers: Headers) -> str:
    """Returns the text of `l5d-err`, "" without one."""
    if ERR not in headers.names:
        return ""
    return unquote_plus((headers.get(ERR) or b"").decode("latin-1"), "latin-1")
