"""The page of all metrics, docs/metrics.md, rendered from the list of names."""

import sys
from typing import Final

from meshproxy.metrics import absent
from meshproxy.metrics.metric import Section
from meshproxy.metrics.names import PLACES

_HEAD: Final = """\
# Metrics

This page is made from the code: `python -m meshproxy.metrics.reference > docs/metrics.md`.

A name is a list of elements, which `/admin/metrics.json` joins with `/`, `io.l5d.statsd` with `.`
and `io.l5d.prometheus` with `:`, the last with router, service, client, server and exception as
labels. An element in `<...>` varies. A scope holds at most 1000 scopes and 1000 metrics; further
ones are counted together under `other`.

Values of histograms are truncated to integers and kept within 0.5 %. `/admin/metrics.json` and the
quantiles of Prometheus show the last complete minute; the `_count` and `_sum` of Prometheus cover
the time since the start. Prometheus also gets `meshproxy_build_info`, with the version as a label,
and for each histogram of milliseconds one with buckets, `..._distribution`: unlike quantiles,
buckets of several proxies can be added up. Each bucket has a fixed limit (`bucketsMs`): the native
histograms of Prometheus are no part of its text format, which every collector reads; they need its
protobuf format and a setting of the server. `io.l5d.influxdb` has a line for each scope, with the
same labels as tags but for the exception. Bytes are counted up to a second late. Statsd gets the
sum of each counter every second, and the gauges every `gaugeIntervalMs`. Of the values of a
histogram it gets the share `sampleRate`, at most 100 a second, with the rate that compensates for
that.

With `workers`, every number covers all workers: counters and histograms are added up, and remain
when a worker ends; a gauge is the sum of the workers' readings, since each worker has its own
connections, endpoints and budgets. For what workers have in common, the highest reading is taken:
`originator`, a client's `available`, `algorithm/<name>`, `num_weight_classes`, `oldest_list_s`,
`longest_dead_s` and `process/uptime`.
"""


def render() -> str:
    """Returns the text of docs/metrics.md."""
    return _HEAD + "".join(_section(place) for place in PLACES) + absent.markdown()


def _section(place: Section) -> str:
    rows = "".join(
        f"| `{metric.name}` | {metric.kind} | {metric.meaning} |\n" for metric in place.metrics
    )
    return (
        f"\n## `{place.scope}`\n\n{place.about}\n\n"
        f"| Name | Kind | Meaning |\n| --- | --- | --- |\n{rows}"
    )


if __name__ == "__main__":
    sys.stdout.write(render())
