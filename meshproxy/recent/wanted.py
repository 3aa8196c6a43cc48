"""A filter of requests: by status, name, router, endpoint, time and text."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meshproxy.recent.request import RecentRequest

_STATUS: Final = re.compile(r"[1-5](xx|[0-9]{2})|none")


@dataclass(frozen=True, slots=True)
class Wanted:
    """All must match; an empty one matches every request."""

    statuses: tuple[str, ...] = ()
    """Such as `5xx` and `404`; `none` if the client left before it got one."""
    name: str = ""
    """The logical or the bound name, or one above it; without a slash, a part of either."""
    router: str = ""
    endpoint: str = ""
    """Of the last attempt or an earlier one."""
    slower_ms: float = -math.inf
    text: str = ""
    """Text within the method, host, path, names, endpoint, reason or trace, in any case."""
    is_failed: bool | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wanted":
        """Reads `status`, `name`, `router`, `endpoint`, `slower`, `q` and `failed` of *query*.

        Raises ValueError with what is wrong.
        """
        statuses = tuple(one.strip().lower() for one in query.get("status", "").split(",") if one)
        for one in statuses:
            if not _STATUS.fullmatch(one):
                raise ValueError(f"{one!r} is not a status such as 5xx, 404 or none")
        failed = query.get("failed", "")
        if failed not in {"", "0", "1"}:
            raise ValueError(f"failed is {failed!r}, it can be 1 or 0")
        return cls(
            statuses,
            query.get("name", ""),
            query.get("router", ""),
            query.get("endpoint", ""),
            _milliseconds(query.get("slower", "")),
            query.get("q", "").lower(),
            None if failed == "" else failed == "1",
        )

    def matches(self, request: RecentRequest) -> bool:
        """Returns True if *request* is wanted."""
        return (
            (not self.statuses or any(_has(request.status, one) for one in self.statuses))
            and (not self.router or request.router == self.router)
            and (not self.endpoint or self.endpoint in request.endpoints)
            and request.total_ms > self.slower_ms
            and (self.is_failed is None or request.is_failed == self.is_failed)
            and (not self.name or any(map(self._names, (request.logical, request.bound))))
            and (not self.text or self.text in _text(request))
        )

    def _names(self, name: str) -> bool:
        if not self.name.startswith("/"):
            return self.name in name
        prefix = self.name.rstrip("/")
        return name == prefix or name.startswith(prefix + "/")


def _has(status: int | None, wanted: str) -> bool:
    if status is None or wanted == "none":
        return status is None and wanted == "none"
    shown = str(status)
    return shown == wanted or (wanted.endswith("xx") and shown[0] == wanted[0])


def _text(request: RecentRequest) -> str:
    parts = (
        request.method,
        request.host,
        request.path,
        str(request.status),
        request.logical,
        request.bound,
        request.endpoint,
        request.reason,
        request.trace,
    )
    return "\n".join(parts).lower()


def _milliseconds(written: str) -> float:
    if not written:
        return -math.inf
    try:
        found = float(written)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise ValueError(f"slower is {written!r}, it must be a number of milliseconds")
    return found
