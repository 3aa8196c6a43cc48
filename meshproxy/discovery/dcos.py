"""A service account of DC/OS: logs in with a signed token, and gets another one in return.

linkerd: namer/marathon/.../Authenticator.scala.
"""

import json
import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from gevent.lock import BoundedSemaphore

from meshproxy.discovery.watching.decoding import Malformed, load, member
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line, Reply

RETRY_S: Final = 1.0
"""After a failed login, other watches that want one within this time get the same failure."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The identity that logs in, and its proof."""

    path: str
    """The path for logins at the API; the host of the login endpoint is not used."""
    body: bytes

    @classmethod
    def parse(cls, text: str) -> "Credentials":
        """Reads the JSON that DC/OS gives to a service. Raises ValueError if it is unusable."""
        try:
            sent = json.loads(text)
        except ValueError as error:
            raise ValueError(f"is not JSON: {error}") from error
        fields = [member(sent, name) for name in ("login_endpoint", "private_key", "scheme", "uid")]
        if not all(field and isinstance(field, str) for field in fields):
            raise ValueError("needs login_endpoint, private_key, scheme and uid")
        endpoint, key, scheme, uid = fields
        if scheme != "RS256":
            raise ValueError(f"has the scheme {scheme!r}, only RS256 is supported")
        token = _signed({"uid": uid}, key)
        return cls(urlsplit(endpoint).path, json.dumps({"uid": uid, "token": token}).encode())


class ServiceAccount:
    """Asks with a token that all watches of an API share, and gets a new one when it expires."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._token: str | None = None
        self._logging_in = BoundedSemaphore(1)
        self._failure = ApiFailure(Reason.STATUS, "no login")
        self._next_at = 0.0

    def ask(self, line: Line, target: str) -> Reply:
        """Returns the answer, after another login if the token is not accepted.

        Raises `ApiFailure`, also for a login.
        """
        token = self._token or self._log_in(line, None)
        try:
            return line.ask(target, headers=_authorization(token))
        except ApiFailure as failure:
            if failure.status != 401:
                raise
        return line.ask(target, headers=_authorization(self._log_in(line, token)))

    def _log_in(self, line: Line, refused: str | None) -> str:
        """Returns a token other than *refused*; another watch may have got it in the meantime."""
        with self._logging_in:
            if self._token is not None and self._token != refused:
                return self._token
            if time.monotonic() < self._next_at:
                raise self._failure
            self._token = None
            try:
                self._token = self._new_token(line)
            except ApiFailure as failure:
                self._failure, self._next_at = failure, time.monotonic() + RETRY_S
                raise
            return self._token

    def _new_token(self, line: Line) -> str:
        reply = line.ask(
            self._credentials.path,
            method="POST",
            body=self._credentials.body,
            headers={"Content-Type": "application/json"},
        )
        try:
            token = member(load(reply.body), "token")
        except Malformed as error:
            raise ApiFailure(Reason.MALFORMED, f"the answer to the login is {error}") from error
        if not (isinstance(token, str) and token.isascii() and token.isprintable()):
            raise ApiFailure(Reason.MALFORMED, "the answer to the login has no token")
        return token


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"token={token}"}


def _signed(claims: dict[str, Any], key: str) -> str:
    try:
        import jwt  # noqa: PLC0415 - an extra, and needed for this alone
    except ImportError:
        raise ValueError("needs the package PyJWT: pip install 'meshproxy[dcos]'") from None
    try:
        return jwt.encode(claims, key, "RS256")
    except (ValueError, TypeError, jwt.PyJWTError) as error:
        raise ValueError(f"has a private_key that cannot sign: {error}") from error
