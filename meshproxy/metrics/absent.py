"""What Linkerd counts and meshproxy does not, with alternatives: a part of docs/metrics.md."""

from typing import Final

ABSENT: Final = (
    (
        "server: `handletime_us`",
        "One greenlet handles a request from head to response; see `request_latency_ms`.",
    ),
    ("server: `read_timeout`", "`failures/client_timeout` counts the same."),
    ("server: `request_queue_size`", "`maxConcurrentRequests` has no queue."),
    ("server: `nonretryable_nacks`", "The proxy itself sends none."),
    (
        "client: `service_creation/...`",
        "Connecting is part of the attempt; see `connect_latency_ms` and `pool_waiters`.",
    ),
    ("client: `nack_admission_control/dropped_requests`", "There is no such control."),
    ("`jvm/...`", "See `process/...`."),
)
"""Names, and why they do not exist."""


def markdown() -> str:
    """Returns the section."""
    rows = "".join(f"| {names} | {why} |\n" for names, why in ABSENT)
    return (
        "\n## Not counted\n\nWhat Linkerd counts in addition, and alternatives.\n\n"
        f"| Name | Why |\n| --- | --- |\n{rows}"
    )
