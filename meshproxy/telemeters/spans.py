"""The common part of span exporters: sampling, a bounded queue, and the greenlet that sends.

A slow or broken collector loses spans, which are counted, and affects nothing else.
"""

import logging
import math
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import gevent
import urllib3
from gevent.event import Event
from urllib3.exceptions import HTTPError

from meshproxy.config.bases import TelemeterConfig
from meshproxy.config.model import key
from meshproxy.http.memo import Memo
from meshproxy.http.trace import Recorder, Recording, Span, SpanFacts
from meshproxy.http.trace_id import DEBUG, SAMPLED, SAMPLING_KNOWN
from meshproxy.log_once import LogOnce
from meshproxy.metrics.instruments import Counter
from meshproxy.metrics.tree import Tree
from meshproxy.telemeters.telemeter import Telemeter

FLUSH_INTERVAL_S: Final = 1.0
MAX_QUEUED: Final = 10_000
"""Most spans queued; further ones are dropped."""
BURST: Final = 5000
"""Traces that may be recorded at once; about the queue's length in spans."""
MAX_BATCH: Final = 500
"""Spans in one request to a collector; only those of one trace may be more."""
_MAX_TEXTS: Final = 1024
_TIMEOUT_S: Final = 3.0
_CLOSE_TIMEOUT_S: Final = 2.0

_log = LogOnce(logging.getLogger(__name__))

Encode = Callable[[Sequence[Span]], bytes]


class Texts(Memo[SpanFacts, str]):
    """The text that *form* makes of facts, for facts that recur."""

    __slots__ = ("_form",)

    def __init__(self, form: Callable[[SpanFacts], str]) -> None:
        super().__init__(_MAX_TEXTS)
        self._form = form

    def __missing__(self, facts: SpanFacts) -> str:
        return self.keep(facts, self._form(facts))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanExporterConfig(TelemeterConfig):
    """The keys that all exporters of spans have."""

    sample_rate: float = key(
        default=0.001,
        minimum=0,
        maximum=1,
        quoted=True,
        doc="The share of traces to send, if the caller has not decided that.",
    )
    sample_errors: bool = key(
        default=False,
        added=True,
        doc="Send the spans of requests that fail whatever was decided; each request then costs "
        "what a recorded one does.",
    )
    phase_spans: bool = key(
        default=False,
        added=True,
        doc="Send a span for each phase too: `bind`, `dns`, `queue`, `connect`, `tls`, `wait` and "
        "`body`, as far as a request had them.",
    )
    max_traces_per_second: int = key(
        default=1000,
        minimum=1,
        added=True,
        doc="How many traces are recorded each second, by each worker, after a burst of 5,000; "
        "further ones are counted in `telemeter/<exporter>/limited`.",
    )


class Sampler:
    """Decides which traces are recorded: the trace's own decision overrides *rate*.

    The decision is the same for all spans of a trace (Linkerd: the salted id, modulo 10,000).
    At most *left* traces more are recorded; those beyond that are counted in *limited*.
    """

    def __init__(
        self,
        rate: float,
        bits: Callable[[int], int] = random.getrandbits,
        left: float = math.inf,
        limited: Counter | None = None,
    ) -> None:
        self._threshold = rate * 10_000
        self._salt = bits(64)
        self.left = left
        self._limited = limited or Counter()

    def wants(self, trace: int, flags: int) -> bool:
        """Returns True if the spans are to be recorded; the arguments are of a `TraceId`."""
        if flags & (DEBUG | SAMPLING_KNOWN):
            if not flags & (DEBUG | SAMPLED):
                return False
        elif (trace ^ self._salt) % 10_000 >= self._threshold:
            return False
        if self.left <= 0:
            self._limited.value += 1
            return False
        self.left -= 1
        return True


class SpanExporter(Telemeter):
    """Sends spans to *url* in the form of *encode*, at least once a second and at the end.

    Args:
        name: the scope of its counters, `telemeter/<name>`.
        url: accepts a batch by POST; any 2xx is a success.
        config: what to send.
        encode: encodes a batch; *content_type* is its type.
    """

    def __init__(
        self,
        name: str,
        url: str,
        config: SpanExporterConfig,
        encode: Encode,
        metrics: Tree,
        content_type: str = "application/json",
    ) -> None:
        self._name = name
        self._url = url
        self._encode = encode
        self._headers: Mapping[str, str] = {"Content-Type": content_type}
        self.wants_errors = config.sample_errors
        self.wants_phases = config.phase_spans
        self._per_second = config.max_traces_per_second
        self._burst = max(BURST, self._per_second)
        self._queue: deque[tuple[Recording, int]] = deque()
        """Each with the number of its spans."""
        self._queued = 0
        """How many spans are in the queue."""
        self._http = urllib3.PoolManager(num_pools=1, maxsize=1, retries=False)
        self._stopping = Event()
        self._greenlet: gevent.Greenlet | None = None
        scope = metrics.scope("telemeter", name)
        self._sent = scope.counter("sent")
        self._dropped = scope.counter("dropped")
        self._failures = scope.counter("failures")
        limited = scope.counter("limited")
        self._sampler = Sampler(config.sample_rate, left=self._burst, limited=limited)
        self.wants = self._sampler.wants

    def recorder(self) -> Recorder:
        """Returns itself."""
        return self

    def record(self, recording: Recording) -> None:
        """Queues the spans of *recording*, or counts them as dropped if they have no room."""
        size = recording.size(phases=self.wants_phases)
        if self._queued + size <= MAX_QUEUED:
            self._queue.append((recording, size))
            self._queued += size
        else:
            self._dropped.value += size

    def start(self) -> None:
        """Begins to send in the background."""
        self._greenlet = gevent.spawn(self._post_often)

    def close(self) -> None:
        """Sends what is left, within two seconds, and stops."""
        self._stopping.set()
        if self._greenlet is not None:
            self._greenlet.join(timeout=_CLOSE_TIMEOUT_S)
            self._greenlet.kill()
        self._dropped.value += self._queued
        self._queue.clear()
        self._queued = 0
        self._http.clear()

    def _post_often(self) -> None:
        while not self._stopping.wait(FLUSH_INTERVAL_S):
            sampler = self._sampler
            sampler.left = min(sampler.left + self._per_second, self._burst)
            self._post_all()
        self._post_all()

    def _post_all(self) -> None:
        """Sends all that is queued at present, until something fails."""
        left = self._queued
        while left > 0:
            batch = self._take()
            left -= len(batch)
            if not self._post(batch):
                return

    def _take(self) -> list[Span]:
        """Takes the spans of the oldest traces out of the queue, `MAX_BATCH` of them."""
        batch: list[Span] = []
        phases, queue = self.wants_phases, self._queue
        while queue and (not batch or len(batch) + queue[0][1] <= MAX_BATCH):
            batch += queue.popleft()[0].spans(phases=phases)
        self._queued -= len(batch)
        return batch

    def _post(self, batch: Sequence[Span]) -> bool:
        try:
            with gevent.Timeout(_TIMEOUT_S, TimeoutError("no answer in time")):
                response = self._http.request(
                    "POST", self._url, body=self._encode(batch), headers=self._headers
                )
            why = "" if 200 <= response.status < 300 else f"status {response.status}"
        except (HTTPError, OSError) as error:
            why = type(error).__name__ if isinstance(error, HTTPError) else str(error)
        if not why:
            self._sent.value += len(batch)
            return True
        self._failures.value += 1
        self._dropped.value += len(batch)
        _log.warning("%s: %s does not accept spans: %s", self._name, self._url, why)
        return False
