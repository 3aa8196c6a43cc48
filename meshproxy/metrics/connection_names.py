"""The metrics of connections: a part of the list in `names`."""

from typing import Final

from meshproxy.metrics.metric import counter, gauge, histogram

CONNECTIONS: Final = (
    counter("connects", "Connections opened."),
    counter("closes", "Connections closed."),
    gauge("connections", "Connections open."),
    counter("received_bytes", "Bytes received on the wire, those of TLS included."),
    counter("sent_bytes", "Bytes sent on the wire, those of TLS included."),
)

CONNECTING: Final = (
    *CONNECTIONS,
    counter("cancelled_connects", "Connects given up because the request's time was up."),
    counter("stale_connections", "Kept connections found closed when used. Added."),
    histogram("connect_latency_ms", "Milliseconds to connect, TLS included."),
    histogram("failed_connect_latency_ms", "Milliseconds until connecting failed."),
    gauge("pool_waiters", "Requests that wait for a connection."),
    counter("pool_num_waited", "Requests that had to wait for a connection."),
    counter("pool_num_too_many_waiters", "Requests refused, the queue being full."),
    counter("idle", "Connections closed because nobody used them."),
    counter("lifetime", "Connections closed because of their age."),
    counter("unanswered_pings", "Connections of HTTP/2 closed as a PING had no answer. Added."),
    counter(
        "stream/unended",
        "Responses of HTTP/2 of which all came that was announced, and no end for 2 s. Added.",
    ),
    counter(
        "goaways/local/<code>",
        "Connections of HTTP/2 ended here for a fault of the endpoint. Added.",
    ),
    counter(
        "goaways/remote/<code>",
        "Connections of HTTP/2 that the endpoint has ended with an error. Added.",
    ),
)
"""What a client counts besides."""
