"""The metrics of HTTP/2, beside those of any router: a part of the list in `names`."""

from typing import Final

from meshproxy.metrics.metric import Metric, Section, counter, gauge, histogram


def _streams(duration: str) -> tuple[Metric, ...]:
    return (
        counter("stream_success", "Streams that came to their end."),
        counter("stream_failures", "Streams that did not."),
        counter(
            "failures/<reason>",
            "The same by reason: the short name of an error, `cut` for a body that its sender cut "
            "short, `cancelled` for one that the client gave up, `incomplete` for a request whose "
            "rest nobody wanted.",
        ),
        histogram("data_bytes", "Bytes of DATA of a stream."),
        histogram(duration, "Milliseconds from the request's head to the end of the exchange."),
    )


BOTH: Final = _streams("total_latency_ms")
ONE: Final = _streams("stream_duration_ms")
_ABOUT: Final = "Streams of HTTP/2, both directions together."
_ONE_ABOUT: Final = (
    "Bodies of HTTP/2 in one direction, `request` or `response`; a request without one is none."
)

H2: Final = (
    Section("rt/<router>/server/<address>/stream", _ABOUT, BOTH),
    Section("rt/<router>/server/<address>/<direction>/stream", _ONE_ABOUT, ONE),
    Section("rt/<router>/service/<name>/stream", _ABOUT, BOTH),
    Section("rt/<router>/service/<name>/<direction>/stream", _ONE_ABOUT, ONE),
    Section("rt/<router>/client/<id>/stream", _ABOUT, BOTH),
    Section("rt/<router>/client/<id>/<direction>/stream", _ONE_ABOUT, ONE),
    Section(
        "rt/<router>/server/<address>",
        "Connections of HTTP/2.",
        (
            gauge("h2/connections", "Connections open that speak HTTP/2. Added."),
            gauge("open_streams", "Requests in progress on them."),
            counter("stream/remote/reset", "Streams that clients have reset."),
            counter("stream/local/reset", "Streams reset here."),
            counter(
                "stream/unended",
                "Requests of which all came that was announced, and no end for 2 s. Added.",
            ),
            counter("stream/refused", "Streams refused: too many, or too many large heads. Added."),
            counter("stream/write_timeout", "Streams reset as clients did not read. Added."),
            counter("goaways/<code>", "Connections ended here for a fault of the client. Added."),
        ),
    ),
    Section(
        "rt/<router>/service/<name>/retries",
        "Retries of streams, beside those of any request.",
        (
            counter("request_stream_too_long", "Retries not made, the body being no longer held."),
            counter("response_stream_too_long", "Responses passed on unjudged for their length."),
            counter("classification_timeout", "Responses passed on unjudged as time was up."),
        ),
    ),
)
