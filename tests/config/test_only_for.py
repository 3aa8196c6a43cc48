"""Keys and kinds of the other protocol are errors at their place."""

import pytest

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.protocols.http import HttpRouterConfig


def errors(text: str) -> list[str]:
    findings = Findings("f")
    decode(HttpRouterConfig, parse(f"servers: [{{}}]\n{text}", findings), findings)
    return [str(error) for error in findings.found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "service: {classificationTimeoutMs: 5}",
            "f:2:11: service.classificationTimeoutMs: only h2 has this, remove it",
        ),
        (
            "client: {kind: io.l5d.static, configs: [{prefix: /, maxFrameBytes: 16384}]}",
            "f:2:53: client.configs[0].maxFrameBytes: only h2 has this, remove it",
        ),
        (
            "service: {responseClassifier: {kind: io.l5d.h2.grpc.default}}",
            (
                "f:2:32: service.responseClassifier.kind: io.l5d.h2.grpc.default is a kind of h2 "
                "alone, write one of: io.l5d.http.allSuccessful, io.l5d.http.nonRetryable5XX, "
                "io.l5d.http.retryableAll5XX, io.l5d.http.retryableIdempotent5XX, "
                "io.l5d.http.retryableRead5XX"
            ),
        ),
        (
            "identifier: [{kind: io.l5d.static, path: /a}, {kind: io.l5d.header.path}]",
            (
                "f:2:48: identifier[1].kind: io.l5d.header.path is a kind of h2 alone, "
                "write one of: io.l5d.header, io.l5d.header.token, io.l5d.ingress, "
                "io.l5d.methodAndHost, io.l5d.path, io.l5d.static"
            ),
        ),
    ],
)
def test_an_http_router_has_nothing_of_h2(text: str, expected: str) -> None:
    assert errors(text) == [expected]


def test_what_fits_is_no_error() -> None:
    assert (
        errors("service: {retryBufferKB: 5, responseClassifier: {kind: io.l5d.http.allSuccessful}}")
        == []
    )
