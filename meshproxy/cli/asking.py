"""Asks a running proxy for one of its admin pages."""

import json
from typing import Any, Final

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError

from meshproxy.wording import in_words

_WAIT_S: Final = 10.0
_MAX_BYTES: Final = 16 * 1024 * 1024
_MAX_SAID: Final = 300


def cause_of(error: Exception) -> str:
    """Returns why a proxy could not be asked, and what to do if it is not there."""
    cause = error.__cause__
    if not isinstance(error, HTTPError) or not isinstance(cause, OSError):
        return str(error)
    if not isinstance(error, NewConnectionError):
        return in_words(cause)
    return f"{in_words(cause)}: start the proxy, or say by --admin where its admin pages are"


def ask(url: str) -> Any:
    """Returns the JSON at *url*. Raises HTTPError, or ValueError for anything else."""
    with urllib3.PoolManager() as pool:
        response = pool.request(
            "GET", url, timeout=_WAIT_S, retries=False, redirect=False, preload_content=False
        )
        body = response.read(_MAX_BYTES)
        response.close()
    if response.status != 200:
        said = body.decode("utf-8", "replace").strip()[:_MAX_SAID]
        raise ValueError(f"the answer has status {response.status}" + (said and f": {said}"))
    try:
        return json.loads(body)
    except ValueError:
        raise ValueError("the answer is not JSON") from None
