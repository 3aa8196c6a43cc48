"""Every metric of meshproxy and its meaning: the one list.

Names are Linkerd's (linkerd: linkerd/docs/metrics.md; finagle: doc/src/sphinx/metrics), but for
those that say they are added.
"""

from collections.abc import Iterator
from typing import Final

from meshproxy.metrics.connection_names import CONNECTING, CONNECTIONS
from meshproxy.metrics.discovery_names import DISCOVERY
from meshproxy.metrics.h2_names import H2
from meshproxy.metrics.metric import Metric, Section
from meshproxy.metrics.metric import counter as _counter
from meshproxy.metrics.metric import gauge as _gauge
from meshproxy.metrics.metric import histogram as _histogram
from meshproxy.metrics.process_names import PROCESS

OUTCOMES: Final = (
    _counter("requests", "Requests that ended."),
    _counter("success", "Those whose response counts as a success."),
    _counter("failures", "Those that failed, by an error or by their response's class."),
    _counter(
        "failures/<reason>",
        "The same by reason: the short name of an error, or "
        "`com.twitter.finagle.service.ResponseClassificationSyntheticException` for a response "
        "that the classifier calls a failure.",
    ),
    _gauge("pending", "Requests in progress."),
    _histogram("request_latency_ms", "Milliseconds from the request's head to the response's."),
)

STATUSES: Final = (
    _counter("status/<code>", "Responses by status, and by its class as `2XX`."),
    _counter("status/error", "Requests that ended without a response."),
    _histogram("time/<class>", "Milliseconds to the response's head, by class of status."),
    _histogram("time/error", "Milliseconds to the error."),
)

STREAMS: Final = (
    _counter("opened", "Bodies that were still arriving when their head was passed on."),
    _counter("closed", "Those that have ended; for requests, with the head of the response."),
    _gauge("pending", "Those that have not."),
    _histogram("duration_ms", "Milliseconds that they took."),
)

ENDINGS: Final = (
    _counter("accept_failures", "Tries to accept a connection that failed. Added."),
    _counter("client_aborts", "Clients that left in a request or its response. Added."),
    _counter("idle", "Connections closed because nobody used them."),
    _counter("lifetime", "Connections closed because of their age."),
    _counter("write_timeout", "Connections closed because the client did not read."),
    _gauge("tls/connections", "Connections open, if they are TLS."),
    _counter("tls/failures", "Handshakes that failed. Added."),
    _counter(
        "proxy_protocol_failures",
        "Connections of `proxyProtocolFrom` without a good PROXY header. Added.",
    ),
)

CACHES: Final = (
    _counter("misses", "Look-ups that found nothing."),
    _counter("evicts", "Entries closed to make room."),
    _counter("expires", "Entries closed because they were idle."),
    _counter("oneshots", "Entries made for one use, the cache being full of busy ones."),
    _gauge("size", "Entries now. Added."),
)

_DECISIONS: Final = (
    _counter("allowed", "Requests that were allowed."),
    _counter("denied", "Requests that were refused."),
    _counter("reported", "Requests that `report` would have denied."),
    _counter("limited", "Requests over a limit."),
)

PLACES: Final = (
    Section(
        "rt/<router>/server/<address>",
        "What a server's clients see; the address is `ip/port` in one element.",
        (
            *OUTCOMES,
            *STATUSES,
            *CONNECTIONS,
            *ENDINGS,
            _gauge("request_concurrency", "Requests in progress, if the server limits them."),
            _counter("nacks", "Requests refused by that limit."),
            _histogram("dtab/size", "Entries of the dtabs that requests bring along."),
            _histogram("transit_latency_ms", "Age of `l5d-ctx-deadline` when a request arrives."),
            _counter("admission_control/deadline/exceeded", "Requests whose deadline had passed."),
            _counter("admission_control/deadline/rejected", "Those refused: enforceDeadlines."),
            _histogram("admission_control/deadline/expired_ms", "How long it had passed."),
            _histogram("admission_control/deadline/remaining_ms", "How much time was left."),
        ),
    ),
    Section(
        "rt/<router>/server/<address>/stream/<direction>",
        "Bodies that are streamed, by direction: `request` and `response`. A body that came whole "
        "with its head is none.",
        STREAMS,
    ),
    Section(
        "rt/<router>/service/<name>",
        "Requests by logical name, retries not counted. Gone when the name was idle.",
        (
            *OUTCOMES,
            _counter("retries/total", "Requests sent again."),
            _histogram("retries/per_request", "How often each request was sent again."),
            _counter("retries/budget_exhausted", "Retries not made because the budget was spent."),
            _counter("retries/request_limit", "Retries not made because of maxRetries. Added."),
            _counter(
                "retries/backoffs_exhausted", "Retries not made because the backoff ended. Added."
            ),
            _gauge("retries/budget", "Retries the budget allows now."),
        ),
    ),
    Section(
        "rt/<router>/client/<id>",
        "Attempts by bound name, each retry on its own. Gone when the client was idle.",
        (
            *OUTCOMES,
            *STATUSES,
            *CONNECTING,
            _counter("cut_responses", "Responses that broke off before their end. Added."),
            _gauge("available", "1 if any of its endpoints takes requests."),
            _gauge("pool_size", "Open connections to all endpoints."),
            _gauge("pool_cached", "Connections that wait for a request."),
            _counter("retries/requeues", "Attempts moved to another endpoint, nothing being sent."),
            _histogram("retries/requeues_per_request", "How often each request was moved."),
            _counter("retries/budget_exhausted", "Moves not made because the budget was spent."),
            _counter("retries/request_limit", "Requests that used up the moves one may have."),
            _counter(
                "retries/cannot_retry",
                "Moves not made because the body was no longer held, or no time was left.",
            ),
            _counter(
                "retries/not_open", "Failures that left no endpoint open; those are moved too."
            ),
            _gauge("retries/budget", "Moves the budget allows now."),
        ),
    ),
    Section(
        "rt/<router>/client/<id>/service/<name>",
        "Attempts of that client by logical name.",
        OUTCOMES,
    ),
    Section(
        "rt/<router>/client/<id>/endpoint/<address>",
        "Attempts of that client by endpoint, if it has `endpointStats`. Added.",
        OUTCOMES,
    ),
    Section(
        "rt/<router>/client/<id>/loadbalancer",
        "The endpoints of that client.",
        (
            _gauge("size", "Endpoints known."),
            _gauge("available", "Endpoints that take requests."),
            _gauge(
                "busy",
                "Endpoints a breaker or `failFast` has taken out, or that are being probed.",
            ),
            _gauge("closed", "Endpoints that are closed."),
            _gauge("load", "Requests in progress at all of them."),
            _counter("adds", "Endpoints that appeared."),
            _counter("removes", "Endpoints that vanished."),
            _counter("updates", "Changes of the set of endpoints."),
            _counter("rebuilds", "Times a balancer took a new set, or arranged its set anew."),
            _counter(
                "max_effort_exhausted", "Picks that found no endpoint open in `maxEffort` tries."
            ),
            _gauge("num_weight_classes", "Different weights among the endpoints."),
            _counter("busy_weight_classes", "Picks that drew a weight without an open endpoint."),
            _gauge("algorithm/<name>", "1 for the balancer in use."),
            _gauge("logical_aperture", "Width of the window of `aperture`."),
            _gauge("physical_aperture", "Endpoints within that window."),
            _counter("loadband/widen", "Times the window became wider by one."),
            _counter("loadband/narrow", "Times the window became narrower by one."),
            _gauge("loadband/offered_load_ema", "Requests in progress at all of them, smoothed."),
            _counter("expired", "Endpoints outside the window whose connections were closed."),
        ),
    ),
    Section(
        "rt/<router>/client/<id>/upstream_proxy",
        "Connecting through parents, for clients with `upstreamProxy`. Added.",
        (
            _counter("failures", "Parents that could not be reached, hung up or answered 5xx."),
            _counter("refusals", "Other answers of parents that opened no tunnel."),
            _counter("direct", "Connections made without a parent, by `orDirect`."),
        ),
    ),
    Section(
        "rt/<router>/client/<id>/failfast",
        "Its endpoints that a connection failed to, if the client has `failFast`.",
        (
            _counter("marked_dead", "Endpoints taken out."),
            _counter("marked_available", "Endpoints taken in again."),
            _gauge("is_marked_dead", "Endpoints that are out."),
            _gauge("unhealthy_for_ms", "Milliseconds for which they have been out."),
            _gauge("unhealthy_num_tries", "Attempts made to connect to them since."),
        ),
    ),
    Section(
        "rt/<router>/client/<id>/failure_accrual",
        "The breakers of that client's endpoints.",
        (
            _counter("removals", "Endpoints taken out after failures."),
            _counter("probes", "Requests sent to see whether one is back."),
            _counter("revivals", "Endpoints taken in again."),
            _counter("removed_for_ms", "Milliseconds that endpoints were out."),
            _gauge("longest_dead_s", "Seconds since the first of those out was marked. Added."),
        ),
    ),
    Section(
        "rt/<router>/bindcache/<cache>",
        "The caches from name to client: `path`, `tree`, `bound` and `client`.",
        CACHES,
    ),
    Section(
        "rt/<router>/access_log",
        "The access log. Added.",
        (_counter("failures", "Lines that could not be written, or that found too many waiting."),),
    ),
    Section(
        "rt/<router>/egress",
        "Where the router's requests may not go. Added.",
        (
            *_DECISIONS,
            _counter("filtered", "Addresses taken out of answers."),
            _counter(
                "reason/own_listener", "Requests that led back to this proxy, refused with 508."
            ),
            _counter("reason/rule", "Requests that a rule denied, with 403."),
            _counter("reason/default", "Requests that no rule allowed, refused with 403."),
            _counter("reason/address", "Requests refused with 403 for the class of the address."),
            _counter("reason/limit", "Requests over the limit of a rule, refused with 429."),
        ),
    ),
    Section(
        "rt/<router>/egress/rule/<rule>",
        "The same by the rule that decided, or `default`. Added.",
        _DECISIONS,
    ),
    Section("rt/<router>", "The router.", (_gauge("originator", "1 if the router starts calls."),)),
    *H2,
    *DISCOVERY,
    Section(
        "telemeter/statsd",
        "The statsd telemeter. Added.",
        (_counter("dropped", "Lines that could not be sent."),),
    ),
    Section(
        "telemeter/<exporter>",
        "A telemeter that exports spans, `zipkin` or `otlp`. Added.",
        (
            _counter("sent", "Spans that the collector took."),
            _counter("dropped", "Spans that were queued in vain, or for which there was no room."),
            _counter("failures", "Posts that failed."),
            _counter("limited", "Traces not recorded because of `maxTracesPerSecond`."),
        ),
    ),
    Section(
        "admin/<address>",
        "The admin server. Added.",
        (
            *CONNECTIONS,
            *STATUSES,
            *ENDINGS,
            _counter("failures/<reason>", "Requests that were refused."),
        ),
    ),
    *PROCESS,
)


def patterns() -> Iterator[tuple[tuple[str, ...], Metric]]:
    """Yields every metric with the elements of its full name."""
    for place in PLACES:
        for metric in place.metrics:
            yield (*place.scope.split("/"), *metric.name.split("/")), metric
