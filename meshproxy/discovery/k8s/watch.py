"""List, then watch, then list again: how one table follows the Kubernetes API.

A list replaces all that was known, deletions included, so nothing missed stays wrong
(linkerd: k8s/.../Watchable.scala; versions are opaque here, and never compared).
"""

import logging
import random as _random
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode

import gevent

from meshproxy.backoff import equal_jitter
from meshproxy.discovery.k8s.api import KubernetesApi
from meshproxy.discovery.k8s.events import WatchEvent, read_event
from meshproxy.discovery.k8s.namespaces import Claim
from meshproxy.discovery.k8s.objects import Entry, Resource
from meshproxy.discovery.k8s.table import Table, Times
from meshproxy.discovery.watching.decoding import ITEM, Malformed, items
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from meshproxy.log_once import LogOnce
from meshproxy.timeline import Kind, timeline
from meshproxy.wording import moment

T = TypeVar("T")

MIN_WAIT_S: Final = 0.1
MAX_WAIT_S: Final = 30.0
MAX_PAGES: Final = 2000
_PAGE_ITEMS: Final = 500
_STEP_S: Final = 0.01
"""Time spent on the API's data before other greenlets may run."""
_REST_S: Final = 0.001
"""More than nothing: the hub goes through many sleeps of 0 before it looks at its sockets."""
_STEADY_S: Final = 1.0
"""A watch that stays open this long has succeeded, even if nothing arrived."""

log = logging.getLogger(__name__)
log_once = LogOnce(log)


@dataclass(slots=True)
class Tally:
    """Counters of one API server."""

    lists: int = 0
    events: int = 0
    watches: int = 0
    """Those that list or watch now, rather than pause."""
    failures: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(Reason, 0))


class ListWatch(Generic[T]):
    """Feeds a table from a list of the API, in a greenlet of its own.

    *resources* are ways to learn the same: a later one serves where the API does not have, or
    does not allow, those before it. Without a *claim* the namespace is taken to exist.
    """

    def __init__(
        self,
        api: KubernetesApi,
        namespace: str,
        resources: tuple[Resource[T], ...],
        table: Table[T],
        tally: Tally,
        claim: Claim | None = None,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], None] = gevent.sleep,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._resources = resources
        self._table = table
        self._tally = tally
        self._claim = claim or Claim(namespace)
        self._random = random
        self._sleep = sleep
        self._backoff = equal_jitter(MIN_WAIT_S, MAX_WAIT_S, random)
        self._greenlet: gevent.Greenlet | None = None
        self._complaint = ""
        self._rested = 0.0
        self._line: Line | None = None
        self.times = Times()
        self.failure = ""
        """Why the API does not answer now; empty if it does."""

    def describe(self) -> dict[str, Any]:
        """Returns what was asked, and what came when (linkerd: k8s/.../InstrumentedWatch.scala)."""
        line, times = self._line, self.times
        is_streaming = times.stream_start > times.stream_end
        return {
            "request": line.request if line else None,
            "lastRequestAt": moment(line.requested_at if line else 0.0),
            "lastResponseAt": moment(line.responded_at if line else 0.0),
            "lastListAt": moment(times.listed),
            "streaming": self._greenlet is not None and is_streaming,
            "lastStreamStartAt": moment(times.stream_start),
            "lastStreamDataAt": moment(times.stream_data),
            "lastStreamEndAt": moment(times.stream_end),
            "error": self.failure or None,
        }

    def start(self) -> None:
        """Starts, unless it runs already."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def close(self) -> None:
        """Ends, without waiting for it."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
            self._greenlet = None

    def _run(self) -> None:
        waits = self._backoff()
        with closing(Line(self._api, lambda: None)) as line:
            self._line = line
            while True:
                if self._follow_once(line):
                    waits = self._backoff()
                line.hang_up()
                self._claim.pause(next(waits), self._sleep)

    def _follow_once(self, line: Line) -> bool:
        """Lists and watches until it ends. Returns True if the watch worked."""
        worked = False
        self._tally.watches += 1
        try:
            listed = self._claim.list_in_turn(lambda: self._list(line))
            self._complaint = ""
            self._forgive()
            if listed is None:
                self._table.replace(())
            if not self._claim.is_proven(is_empty=self._table.is_empty) or listed is None:
                return True
            resource, version = listed
            begun = time.monotonic()
            with closing(self._events(line, resource, version)) as events:
                for event in events:
                    self._apply(resource, event)
                    self._rest_if_due()
                    worked = True
            worked = worked or time.monotonic() - begun >= _STEADY_S
            log.debug("the watch of %s ended", self)
        except ApiFailure as failure:
            if failure.status == 401:
                self._api.forget_credentials()
            self._note(failure)
            self._fail(failure)
        except Exception:
            log_once.exception("the watch of %s failed", self)
        finally:
            self._tally.watches -= 1
        return worked

    def _list(self, line: Line) -> tuple[Resource[T], str]:
        *preferred, last = self._resources
        for resource in preferred:
            try:
                return resource, self._list_all(line, resource)
            except ApiFailure as failure:
                if failure.status not in (403, 404):
                    raise
                log.debug("%s: no %s: %s", self, resource.plural, failure)
        return last, self._list_all(line, last)

    def _list_all(self, line: Line, resource: Resource[T]) -> str:
        entries: list[Entry[T]] = []
        query = {"limit": str(_PAGE_ITEMS)}
        for _ in range(MAX_PAGES):
            target = f"{resource.path(self._namespace)}?{urlencode(query)}"
            metadata = self._list_page(resource, line.ask(target).body, entries)
            if not metadata.get("continue"):
                break
            query["continue"] = str(metadata["continue"])
        else:
            raise ApiFailure(Reason.MALFORMED, f"a list of more than {MAX_PAGES} pages")
        self._tally.lists += 1
        self.times.listed = time.time()
        self._table.replace(entries)
        return str(metadata.get("resourceVersion", ""))

    def _list_page(
        self, resource: Resource[T], page: bytes, entries: list[Entry[T]]
    ) -> dict[str, Any]:
        metadata = None
        try:
            for key, value in items(page, "items"):
                if key == ITEM:
                    entries.extend(self._read(resource, value))
                elif key == "metadata":
                    metadata = value
                self._rest_if_due()
        except Malformed as error:
            raise ApiFailure(Reason.MALFORMED, str(error)) from error
        if not isinstance(metadata, dict):
            raise ApiFailure(Reason.MALFORMED, "the answer is not a list of objects")
        return metadata

    def _events(
        self, line: Line, resource: Resource[T], version: str
    ) -> Generator[WatchEvent, None, None]:
        timing = self._api.timing
        duration_s = timing.watch_s * (0.8 + 0.2 * self._random())
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(max(1, round(duration_s))),
        }
        target = f"{resource.path(self._namespace)}?{urlencode(query)}"
        self.times.stream_start = time.time()
        try:
            with closing(line.lines(target, duration_s + timing.idle_timeout_s)) as lines:
                for each in lines:
                    self.times.stream_data = time.time()
                    yield read_event(each)
        finally:
            self.times.stream_end = time.time()

    def _rest_if_due(self) -> None:
        """Lets other greenlets run if this has gone on for a while."""
        if time.monotonic() - self._rested > _STEP_S:
            gevent.sleep(_REST_S)
            self._rested = time.monotonic()

    def _apply(self, resource: Resource[T], event: WatchEvent) -> None:
        self._tally.events += 1
        if event.type == "BOOKMARK":
            return
        for entry in self._read(resource, event.object):
            if event.type == "DELETED":
                self._table.remove(entry.name)
            else:
                self._table.put(entry)

    def _read(self, resource: Resource[T], obj: Any) -> list[Entry[T]]:
        """Reads one object; a malformed one is left out rather than hold up all others."""
        try:
            return [resource.read(obj)]
        except Malformed as error:
            self._note(ApiFailure(Reason.MALFORMED, f"an object of {resource.plural}: {error}"))
            return []

    def _note(self, failure: ApiFailure) -> None:
        self._tally.failures[failure.reason] += 1
        self._table.use_last_known()
        complaint = str(failure)
        is_news = complaint != self._complaint and failure.reason is not Reason.GONE
        self._complaint = complaint
        log.log(logging.WARNING if is_news else logging.DEBUG, "%s: %s", self, complaint)

    def _fail(self, failure: ApiFailure) -> None:
        if failure.reason is Reason.GONE:
            return
        if not self.failure:
            self.times.failing_since = time.time()
            timeline.note(Kind.DISCOVERY, str(self), str(failure))
        self.failure = str(failure)

    def _forgive(self) -> None:
        if self.failure:
            timeline.note(Kind.DISCOVERY, str(self), "answers again")
        self.failure, self.times.failing_since = "", 0.0

    def __str__(self) -> str:
        of = f" of {self._namespace}" if self._namespace else ""
        return f"Kubernetes {self._resources[-1].plural}{of} at {self._api.server}"
