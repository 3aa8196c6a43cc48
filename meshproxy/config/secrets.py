"""Secrets in files: values of headers, and credentials for a parent proxy.

No message, log line or page shows any part of one.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from meshproxy.config.watched import Watched, watched_files

MOST_BYTES: Final = 8192
"""A longer secret is refused."""
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


def header_value(path: str) -> Watched[bytes]:
    """Returns the value of a header in the file *path*. Raises OSError and ValueError."""
    return _secret(path, _read)


def basic_credentials(path: str) -> Watched[bytes]:
    """Returns `user:password` in the file *path* as HTTP sends it (RFC 7617 section 2).

    Raises OSError and ValueError.
    """
    return _secret(path, _read_credentials)


def why_no_value(path: str) -> str | None:
    """Returns why *path* holds no value of a header; None if it does, or is not there."""
    return _why_not(path, _read)


def why_no_credentials(path: str) -> str | None:
    """Returns why *path* holds no credentials; None if it does, or is not there."""
    return _why_not(path, _read_credentials)


def _secret(path: str, read: Callable[[str], bytes]) -> Watched[bytes]:
    return watched_files.take((read, path), [path], partial(read, path))


def _why_not(path: str, read: Callable[[str], bytes]) -> str | None:
    try:
        read(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def _read(path: str) -> bytes:
    """Returns the content without one final newline."""
    if not Path(path).is_file():
        raise FileNotFoundError(2, "No such file", path)
    with Path(path).open("rb") as file:
        text = file.read(MOST_BYTES + 2)
    text = text.removesuffix(b"\n").removesuffix(b"\r")
    if not text.strip(b" "):
        raise ValueError(f"{path} is empty, write the secret into it")
    if len(text) > MOST_BYTES:
        raise ValueError(f"{path} holds more than {MOST_BYTES} bytes")
    if control := _CONTROL.search(text):
        raise ValueError(
            f"{path} has a control character in byte {control.start() + 1}, "
            "write the secret in one line and nothing else"
        )
    return text


def _read_credentials(path: str) -> bytes:
    text = _read(path)
    if b":" not in text[1:]:
        raise ValueError(f"{path} holds no credentials, write user:password")
    return b"Basic " + b64encode(text)
