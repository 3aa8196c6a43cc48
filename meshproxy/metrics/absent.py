"""What Linkerd counts and meshproxy does not, and where else to look: a part of docs/metrics.md."""

from typing import Final

ABSENT: Final = (
    (
        "server: `handletime_us`",
        "A request is handled by one greenlet from head to response; `request_latency_ms` tells.",
    ),
    ("server: `read_timeout`", "`failures/client_timeout` counts the same."),
    (
        "server and client: `received_bytes`, `sent_bytes`",
        "Each read and write would pay for it; the access log has the bytes of every body.",
    ),
    (
        "server: `stream/request/...`, `stream/response/...`",
        "Every body is a stream, so each request would pay for it.",
    ),
    ("server: `request_queue_size`", "`maxConcurrentRequests` has no queue."),
    ("server: `nonretryable_nacks`", "No refusal of the proxy's own is one."),
    (
        "client: `retries/cannot_retry`, `retries/not_open`",
        "Requeues do not depend on the state of a session; `retries/request_limit` counts all.",
    ),
    (
        "client: `service_creation/...`",
        "Connecting is part of the attempt; `connect_latency_ms` and `pool_waiters` tell.",
    ),
    ("client: `nack_admission_control/dropped_requests`", "There is no such control."),
    ("`jvm/...`", "`process/...` stands for it."),
)
"""Names, and why they are not there."""


def markdown() -> str:
    """Return the section."""
    rows = "".join(f"| {names} | {why} |\n" for names, why in ABSENT)
    return (
        "\n## Not counted\n\nWhat Linkerd counts besides, and where else to look.\n\n"
        f"| Name | Why |\n| --- | --- |\n{rows}"
    )
