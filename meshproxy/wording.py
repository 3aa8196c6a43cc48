"""Python's errors in plain words, for clients and operators."""

import re
import time
from typing import Final

_OF_SSL: Final = re.compile(r"^\[[^\]]*\] ?| \(_ssl\.c:\d+\)$")
"""What the ssl module adds around the words of OpenSSL."""


def in_words(error: BaseException) -> str:
    """Returns the text of *error*, without the numbers, paths and places that Python adds."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _OF_SSL.sub("", text) or type(error).__name__


def moment(seconds: float) -> str | None:
    """Returns *seconds* since 1970 as Linkerd's state pages write a time, in UTC; None for 0."""
    return time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(seconds)) if seconds else None
