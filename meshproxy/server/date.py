"""The Date field of responses (RFC 9110 section 6.6.1)."""

from email.utils import formatdate
from time import time

from meshproxy.http.headers import line

_date = (0, b"")


def date_line() -> bytes:
    """Returns the Date field, made once a second."""
    global _date  # noqa: PLW0603 - one immutable pair, replaced as a whole
    second = int(time())
    if _date[0] != second:
        _date = (second, line(b"Date", formatdate(second, usegmt=True).encode()))
    return _date[1]
