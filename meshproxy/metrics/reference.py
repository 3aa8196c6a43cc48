"""The page of every metric, docs/metrics.md, made from the list of names."""

import sys
from typing import Final

from meshproxy.metrics import absent
from meshproxy.metrics.metric import Section
from meshproxy.metrics.names import PLACES

_HEAD: Final = """\
# Metrics

This page is made from the code: `python -m meshproxy.metrics.reference > docs/metrics.md`.

A name is a list of elements, which `/admin/metrics.json` joins by `/`, `io.l5d.statsd` by `.` and
`io.l5d.prometheus` by `:`, the last with router, service, client, server and exception as labels.
An element in `<...>` varies. A scope holds at most 1000 scopes and 1000 metrics; what comes later
is counted together under `other`.

Values of histograms are cut off to integers and kept within 0.5 %. `/admin/metrics.json` and the
quantiles of Prometheus show the last complete minute; the `_count` and `_sum` of Prometheus are
since the start. Prometheus also gets `meshproxy_build_info`, with the version as a label. Statsd
gets the sum of each counter every second, and the gauges every `gaugeIntervalMs`. Of the values of
a histogram it gets the share `sampleRate`, and at most 100 a second, with the rate that makes up
for it.

With `workers` every number is that of all of them: counters and histograms are added up, and stay
when a worker ends; gauges are the sum of what the workers read now, each of which has its own
connections, endpoints and budgets. Of what they have in common the highest reading is taken:
`originator`, a client's `available`, `algorithm/<name>`, `num_weight_classes`, `oldest_list_s` and
`process/uptime`.
"""


def render() -> str:
    """Return the text of docs/metrics.md."""
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
