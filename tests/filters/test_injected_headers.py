from pathlib import Path

import pytest

from meshproxy.config.injected_headers import InjectedHeaderConfig
from meshproxy.config.secrets import header_value
from meshproxy.filters.injected_headers import InjectHeaders, SecretWithheld
from meshproxy.http.headers import Headers, of
from meshproxy.http.message import Request, Response, text_response
from tests.kit.messages import request


class Endpoint:
    """Keeps the fields of what it is sent."""

    def __init__(self) -> None:
        self.seen: list[list[bytes]] = []

    def __call__(self, asked: Request) -> Response:
        self.seen.append(list(asked.headers.lines))
        return text_response(200, "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("s3cret\n")
    return path


def header(file: Path, **more: object) -> InjectedHeaderConfig:
    return InjectedHeaderConfig(name="Authorization", file=str(file), prefix="Bearer ", **more)


def asked(method: bytes = b"GET") -> Request:
    found = request(method=method)
    found.headers = of((b"Host", b"a"), (b"authorization", b"mine"), (b"X", b"y"))
    return found


def test_it_replaces_what_the_client_sent_for_one_attempt(file: Path) -> None:
    inject, endpoint, one = InjectHeaders([header(file)], is_tls=True), Endpoint(), asked()
    before = list(one.headers.lines)
    inject(one, endpoint)
    assert endpoint.seen == [[b"Host: a", b"X: y", b"Authorization: Bearer s3cret"]]
    assert one.headers.lines == before
    assert one.headers.names == [b"host", b"authorization", b"x"]


def test_no_table_of_http_2_holds_a_secret_whatever_its_name(file: Path) -> None:
    inject = InjectHeaders([InjectedHeaderConfig(name="X-Api-Key", file=str(file))], is_tls=True)
    one, seen = asked(), []
    one.headers = Headers([b"y"], [b"y: z"], frozenset({b"y"}))

    def endpoint(sent: Request) -> Response:
        seen.append((list(sent.headers.lines), sent.headers.never_indexed))
        return text_response(200, "")

    inject(one, endpoint)
    assert seen == [([b"y: z", b"X-Api-Key: s3cret"], {b"x-api-key", b"y"})]
    assert one.headers.never_indexed == {b"y"}
    assert one.headers.lines == [b"y: z"]


def test_the_client_s_fields_are_back_after_an_error(file: Path) -> None:
    inject, one = InjectHeaders([header(file)], is_tls=True), asked()
    before = list(one.headers.lines)

    def fail(_: Request) -> Response:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        inject(one, fail)
    assert one.headers.lines == before


def test_without_tls_the_request_is_not_sent_unless_that_is_wanted(file: Path) -> None:
    endpoint = Endpoint()
    with pytest.raises(SecretWithheld, match="Not sent: Authorization") as caught:
        InjectHeaders([header(file)], is_tls=False)(asked(), endpoint)
    assert caught.value.status == 502
    assert endpoint.seen == []
    InjectHeaders([header(file, over_plain_text=True)], is_tls=False)(asked(), endpoint)
    assert b"Authorization: Bearer s3cret" in endpoint.seen[0]


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT"])
@pytest.mark.parametrize("is_tls", [True, False])
def test_what_may_come_back_is_sent_without_it(file: Path, method: bytes, is_tls: bool) -> None:
    endpoint = Endpoint()
    InjectHeaders([header(file)], is_tls=is_tls)(asked(method), endpoint)
    assert endpoint.seen == [[b"Host: a", b"authorization: mine", b"X: y"]]


def test_the_value_follows_its_file(file: Path) -> None:
    inject, endpoint = InjectHeaders([header(file)], is_tls=True), Endpoint()
    file.write_text("n3xt-one")
    header_value(str(file)).refresh()
    inject(asked(), endpoint)
    assert b"Authorization: Bearer n3xt-one" in endpoint.seen[0]
