"""io.l5d.statsd: changes since the last flush, in datagrams packed by the statsd package.

Names and lines are Linkerd's (linkerd: telemetry/statsd/.../StatsDTelemeter.scala); counters are
sent as the sum of an interval at rate 1 instead of a datagram for each increment.
"""

import logging
import random
import re
from collections import Counter as Times
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, repeat
from math import ceil, isfinite
from time import monotonic
from typing import ClassVar, Final

import gevent
from gevent.event import Event

from meshproxy.config.bases import TelemeterConfig
from meshproxy.config.errors import Problem
from meshproxy.config.model import key
from meshproxy.config.scalars import Port
from meshproxy.log_once import LogOnce
from meshproxy.metrics.histogram import Histogram
from meshproxy.metrics.instruments import Counter, Gauge, Instrument, Stat
from meshproxy.metrics.tree import Scope, Tree
from meshproxy.net.turn import next_turn
from meshproxy.telemeters.collector import Collector, find
from meshproxy.telemeters.telemeter import Telemeter, TelemeterDeps

log = logging.getLogger(__name__)
log_once = LogOnce(log)

FLUSH_INTERVAL_S: Final = 1.0
RESOLVE_INTERVAL_S: Final = 30.0
_RETRY_INTERVAL_S: Final = 5.0
MAX_TIMINGS: Final = 100
"""Timings of one histogram in one flush; more than that are thinned evenly."""
_INSTRUMENTS_PER_TURN: Final = 500
"""Instruments read before other greenlets get their turn."""
_CLOSE_TIMEOUT_S: Final = 1.0

_PREFIX: Final = re.compile(r"[!-9;-?A-{}~]*")
_UNSAFE: Final = re.compile(r"[^/A-Za-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsdConfig(TelemeterConfig):
    """Sends the metrics to a statsd collector over UDP.

    Counters and timings are sent each second, counters as the sum of that second. At most 100
    values of a histogram are sent each second, evenly chosen, with the rate that makes up for it.
    """

    kind: ClassVar[str] = "io.l5d.statsd"
    requires_experimental: ClassVar[bool] = True
    prefix: str = key(default="linkerd", doc="Precedes every name, with a dot unless it is empty.")
    hostname: str = key(default="127.0.0.1", doc="The collector, looked up again every 30 s.")
    port: Port = key(default=Port(8125), minimum=1, doc="Its UDP port.")
    gauge_interval_ms: int = key(default=10000, minimum=1, doc="Milliseconds between gauges.")
    sample_rate: float = key(
        default=0.01,
        minimum=0,
        maximum=1,
        quoted=True,
        doc="The share of timings sent; counters are exact.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields a problem if the prefix would break the grammar of the lines."""
        if not _PREFIX.fullmatch(self.prefix):
            yield Problem("expected printable ASCII without spaces, ':', '@' and '|'", "prefix")

    def build(self, deps: TelemeterDeps) -> "Statsd":
        """Returns the telemeter; its socket is opened by `start`."""
        return Statsd(self, deps.metrics, is_late=deps.is_late)


def name(prefix: str, scope: Scope) -> str:
    """Returns the dotted name of *scope* as Linkerd writes it; an empty *prefix* adds no dot."""
    own = _UNSAFE.sub("_", "/".join(scope)).replace("//", "/").replace("/", ".")
    return f"{prefix}.{own}" if prefix else own


def counted(name: str, delta: int) -> str:
    """Returns the line that adds *delta*."""
    return f"{name}:{delta}|c"


def gauged(name: str, value: float) -> str:
    """Returns the line that sets *value*, to six decimals."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return f"{name}:{'0' if text == '-0' else text}|g"


def timed(name: str, values: Iterable[float], rate: float) -> list[str]:
    """Returns the lines of timings, truncated; each line stands for 1/*rate* timings."""
    kind = f"|ms|@{rate:.6f}" if rate < 1 else "|ms"
    lines: list[str] = []
    for value, times in Times(values).items():
        lines += [f"{name}:{int(value)}{kind}"] * times
    return lines


def thinned(values: Histogram, step: float, draw: float) -> Iterator[int]:
    """Yields every *step*-th of the sorted *values*, from a start chosen by *draw* in [0, 1)."""
    position, reached = draw * step, 0
    for value, times in sorted(values.counts.items()):
        reached += times
        if position < reached:
            hits = ceil((reached - position) / step)
            yield from repeat(value, hits)
            position += hits * step


@dataclass(slots=True)
class _Seen:
    name: str
    total: int = 0
    values: Histogram = field(default_factory=Histogram)


class Changes:
    """The changes of a tree since the last call, as lines.

    Args:
        metrics: the tree to watch.
        config: prefix and sample rate.
        draw: returns a new number in [0, 1) on each call.
    """

    def __init__(self, metrics: Tree, config: StatsdConfig, draw: Callable[[], float]) -> None:
        self._metrics = metrics
        self._prefix = config.prefix
        self._sample_rate = config.sample_rate
        self._draw = draw
        self._seen: dict[Instrument, _Seen] = {}

    def skip(self) -> None:
        """Treats everything counted so far as already sent."""
        for _ in self.batches(gauges=False):
            pass

    def batches(self, *, gauges: bool) -> Iterator[list[str]]:
        """Yields sums of counters, samples of timings and, if *gauges* is set, all gauges.

        Each batch covers a bounded number of instruments and may be empty. The last one is of
        instruments pruned since the last call: what they counted after they were last read.
        """
        before, self._seen = self._seen, {}
        walk = self._metrics.walk()
        while some := list(islice(walk, _INSTRUMENTS_PER_TURN)):
            lines: list[str] = []
            for scope, instrument in some:
                seen = before.pop(instrument, None) or _Seen(name(self._prefix, scope))
                self._seen[instrument] = seen
                if isinstance(instrument, Gauge):
                    if gauges:
                        lines += self._gauge(seen.name, instrument.read())
                else:
                    lines += self._news(seen, instrument)
            yield lines
        yield [
            line
            for instrument, seen in before.items()
            if not isinstance(instrument, Gauge)
            for line in self._news(seen, instrument)
        ]

    def _news(self, seen: _Seen, instrument: Counter | Stat) -> Sequence[str]:
        if isinstance(instrument, Stat):
            return self._timings(seen, instrument)
        delta, seen.total = instrument.value - seen.total, instrument.value
        return (counted(seen.name, delta),) if delta else ()

    def _gauge(self, name: str, value: float) -> Iterator[str]:
        if isfinite(value):
            if value < 0:  # a sign means a relative change, so the gauge must be set to 0 first
                yield gauged(name, 0)
            yield gauged(name, value)

    def _timings(self, seen: _Seen, stat: Stat) -> Sequence[str]:
        earlier, now = seen.values, stat.read()
        seen.values = now
        if now is earlier or not self._sample_rate:
            return ()
        values = now - earlier
        step = max(1 / self._sample_rate, values.count / MAX_TIMINGS)
        return timed(seen.name, thinned(values, step, self._draw()), 1 / step)


class Statsd(Telemeter):
    """Flushes a tree's changes to a collector from a greenlet of its own.

    If the collector fails, its lines are lost and counted in `telemeter/statsd/dropped`.

    Args:
        config: what to send, and the address.
        metrics: the tree to send.
        draw: see `Changes`.
        is_late: True to report only what is counted from `start` on.
    """

    def __init__(
        self,
        config: StatsdConfig,
        metrics: Tree,
        draw: Callable[[], float] = random.random,
        *,
        is_late: bool = False,
    ) -> None:
        self._is_late = is_late
        self._config = config
        self._changes = Changes(metrics, config, draw)
        self._dropped = metrics.counter("telemeter", "statsd", "dropped")
        self._collector: Collector | None = None
        self._looked_up = Event()
        self._stopping = Event()
        self._greenlets: list[gevent.Greenlet] = []

    def start(self) -> None:
        """Looks the collector up and flushes each second, in the background."""
        if self._is_late:
            self._changes.skip()
        self._greenlets = [gevent.spawn(self._flush_often), gevent.spawn(self._resolve_often)]

    def close(self) -> None:
        """Flushes once more and stops."""
        self._stopping.set()
        gevent.joinall(self._greenlets[:1], timeout=_CLOSE_TIMEOUT_S)
        gevent.killall(self._greenlets)
        if self._collector is not None:
            self._collector.close()

    def flush(self, *, gauges: bool) -> None:
        """Sends the changes; yields to other greenlets now and then."""
        for lines in self._changes.batches(gauges=gauges):
            self._send(lines)
            next_turn()

    def _send(self, lines: list[str]) -> None:
        if self._collector is None:
            self._dropped.value += len(lines)
            return
        pipeline = self._collector.pipeline()
        pipeline.add(lines)
        pipeline.send()

    def _flush_often(self) -> None:
        self._looked_up.wait()
        gauge_interval_s = self._config.gauge_interval_ms / 1000
        gauges_due = monotonic() + gauge_interval_s
        while not self._stopping.wait(min(FLUSH_INTERVAL_S, gauge_interval_s)):
            gauges = monotonic() >= gauges_due
            if gauges:
                gauges_due = monotonic() + gauge_interval_s
            self._try_flush(gauges=gauges)
        self._try_flush(gauges=False)

    def _try_flush(self, *, gauges: bool) -> None:
        try:
            self.flush(gauges=gauges)
        except Exception:
            log_once.exception("statsd: a flush failed")

    def _resolve_often(self) -> None:
        host, port = self._config.hostname, self._config.port
        is_failing = False
        while True:
            before = self._collector
            try:
                self._collector = find(host, port, self._dropped)
            except OSError as error:
                if not is_failing:
                    log.warning("statsd: cannot send to %s:%d: %s", host, port, error)
                is_failing = True
            else:
                is_failing = False
                if before is not None:
                    before.close()
            self._looked_up.set()
            gevent.sleep(RESOLVE_INTERVAL_S if self._collector else _RETRY_INTERVAL_S)
