"""Requests of a supervisor for a worker's pages: both ends of the exchange of messages.

A worker is trusted only with text: its responses have one of two content types, and the methods
that it reports as allowed are nothing else.
"""

import re
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from gevent.event import AsyncResult
from gevent.timeout import Timeout

from meshproxy.admin.pages import JSON, TEXT, AdminRequest, AdminResponse, text
from meshproxy.net.channel import MAX_MESSAGE

MAX_BODY: Final = MAX_MESSAGE // 8
"""A longer page is refused; as JSON, no page exceeds a message."""
_METHODS: Final = re.compile(r"[A-Z]+(, [A-Z]+)*")


class Questions:
    """The questions to one worker, sent with *send*, that it has not answered yet."""

    def __init__(self, send: Callable[..., bool]) -> None:
        self._send = send
        self._numbers = count()
        self._open: dict[int, AsyncResult[AdminResponse | None]] = {}

    def ask(self, request: AdminRequest) -> Callable[[float], AdminResponse | None]:
        """Asks for a page. The result waits for the answer, given seconds; None if it is late."""
        number = next(self._numbers)
        answer = self._open[number] = AsyncResult()
        body = request.body.decode("latin-1")
        what = request.method, request.path, {**request.query}, body, request.content_type
        if not self._send("ask", number, *what):
            answer.set(None)

        def get(seconds: float) -> AdminResponse | None:
            try:
                found: AdminResponse | None = answer.get(timeout=seconds)
            except Timeout:
                return None
            finally:
                self._open.pop(number, None)
            return found

        return get

    def take(self, number: int, status: int, content_type: str, allow: str, body: str) -> None:
        """Passes an answer to the caller that waits for it."""
        if number in self._open:
            kind = JSON if content_type == JSON else TEXT
            headers = (("Allow", allow),) if _METHODS.fullmatch(allow) else ()
            self._open[number].set(AdminResponse(body.encode(), kind, status, headers))

    def close(self) -> None:
        """Ends every wait, since there will be no more answers."""
        for answer in self._open.values():
            answer.set(None)


def answer_to(
    answer: Callable[[AdminRequest], AdminResponse],
    method: str,
    path: str,
    query: dict[str, str],
    body: str,
    content_type: str,
) -> list[Any]:
    """Returns the message with the result of *answer* for the question in the other arguments."""
    found = answer(AdminRequest(method, path, query, body.encode("latin-1"), content_type))
    if len(found.body) > MAX_BODY:
        found = text(f"This page is longer than {MAX_BODY} bytes.\n", 500)
    allow = dict(found.headers).get("Allow", "")
    return [found.status, found.content_type, allow, found.body.decode()]
