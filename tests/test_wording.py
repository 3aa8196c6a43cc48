"""Errors of Python, in words."""

import errno
import ssl

import pytest

from meshproxy.wording import in_words, moment


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOENT, "No such file or directory", "/secret"),
            "No such file or directory",
        ),
        (ssl.SSLError(1, "[SSL] PEM lib (_ssl.c:3895)"), "PEM lib"),
        (ssl.SSLError(1, "[SSL: BAD] bad (_ssl.c:1)"), "bad"),
        (OSError("no number"), "no number"),
        (ValueError("a [b] (c)"), "a [b] (c)"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_errors_of_python_are_told_in_words(error: Exception, words: str) -> None:
    assert in_words(error) == words


def test_a_time_is_written_as_linkerd_does() -> None:
    assert moment(1_700_000_000.9) == "2023-11-14 22:13:20 +0000"
    assert moment(0.0) is None
