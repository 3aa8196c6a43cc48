"""Which fields may be trailers (RFC 9110 section 6.5.1)."""

from meshproxy.http import l5d

_OF_HEADS = frozenset(
    b"transfer-encoding content-length host connection keep-alive te trailer upgrade expect "
    b"proxy-connection proxy-authorization proxy-authenticate authorization cookie set-cookie "
    b"content-type content-encoding content-range cache-control max-forwards range via "
    b"www-authenticate x-forwarded-for x-forwarded-host x-forwarded-proto "
    b"x-forwarded-client-cert forwarded".split()
)


def is_forbidden(name: bytes) -> bool:
    """Returns True if a field is for heads alone: it frames, routes, admits or describes.

    *name* is in lower case. A receiver may merge trailers into the head, which has been acted on.
    """
    return name in _OF_HEADS or l5d.is_ours(name)
