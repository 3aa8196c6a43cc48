"""Errors of Python in plain words, as clients and operators read them."""

import re
from typing import Final

_OF_SSL: Final = re.compile(r"^\[[^\]]*\] ?| \(_ssl\.c:\d+\)$")
"""What the ssl module puts around the words of OpenSSL."""


def in_words(error: BaseException) -> str:
    """What *error* says, without the numbers, paths and places that Python puts around it."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _OF_SSL.sub("", text) or type(error).__name__
