"""`meshproxy tap`: the requests of a running proxy as they end, a line each."""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from meshproxy.cli.asking import cause_of
from meshproxy.cli.printable import printable

_SECONDS: Final = 3600
"""The longest that a proxy tells in one go; then it is asked again."""
_SILENCE_S: Final = 15.0
"""A proxy sends something every five seconds."""
_MAX_LINE: Final = 1024 * 1024


def run(given: Namespace) -> int:
    """Prints requests until interrupted (0); 1 if the proxy does not answer or has ended."""
    asked = {"status": given.status, "name": given.name, "slower": given.slower_than}
    query = urlencode({key: value for key, value in asked.items() if value is not None})
    url = f"{given.admin.rstrip('/')}/tap?seconds={_SECONDS}" + (f"&{query}" if query else "")
    try:
        while True:
            for line in _lines(url):
                print(line if given.json else printable(_shown(json.loads(line))), flush=True)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left
        return 0
    except (HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"meshproxy: {url}: {printable(cause_of(error))}", file=sys.stderr)
        return 1


def _lines(url: str) -> Iterator[str]:
    """Yields each line that has something. Raises HTTPError or ValueError."""
    timeout = urllib3.Timeout(connect=5.0, read=_SILENCE_S)
    with urllib3.PoolManager() as pool:
        response = pool.request(
            "GET", url, timeout=timeout, retries=False, redirect=False, preload_content=False
        )
        if response.status != 200:
            said = response.read(_MAX_LINE).decode("utf-8", "replace").strip()
            response.close()
            raise ValueError(f"the answer has status {response.status}: {said}")
        rest = b""
        for piece in response.stream():
            *lines, rest = (rest + piece).split(b"\n")
            if len(rest) > _MAX_LINE:
                raise ValueError("this is not a tap of meshproxy's")
            yield from (line.decode() for line in lines if line)


def _shown(request: dict[str, Any]) -> str:
    """Returns *request*, or how many were dropped, as a line for people."""
    if "dropped" in request:
        return f"({request['dropped']} requests not shown)"
    at = datetime.fromtimestamp(request["at"]).astimezone().strftime("%H:%M:%S.%f")[:-3]
    what = f"{request['method']} {request['host']}{request['path']}"
    status = request["status"] or "-"
    names = " -> ".join(filter(None, (request[key] for key in ("logical", "bound", "endpoint"))))
    times = " ".join(f"{name}={ms:g}" for name, ms in request["phases"].items() if ms)
    tries = f" {request['attempts']} attempts" if request["attempts"] > 1 else ""
    why = (request["why"] or "").strip().rpartition("\n")[2].strip()  # what ended it is told last
    parts = (
        f"{at} {status} {request['ms']:g} ms",
        what,
        names,
        f"({times}){tries}",
        f"trace={request['trace']}" if request["trace"] else "",
        " ".join(filter(None, (request["reason"], why))),
    )
    return "  ".join(filter(None, parts))
