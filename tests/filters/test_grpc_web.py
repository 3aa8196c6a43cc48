"""gRPC-Web and gRPC: what becomes of heads, bodies and trailers on the way there and back."""

from base64 import b64decode, b64encode

import pytest

from meshproxy.errors import BadRequest, ConnectionClosed
from meshproxy.filters.grpc_web import GrpcWeb, TextBody, WebBody
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import StreamReset
from meshproxy.http.ending import Ending
from meshproxy.http.headers import Headers, of
from meshproxy.http.message import Request, Response
from tests.kit.messages import Arriving, Pieces, body_of, request, response

MESSAGE = b"\0\0\0\0\x05hello"
STATUS = of((b"grpc-status", b"0"), (b"Grpc-Message", b"fine"))
TRAILERS = b"grpc-status: 0\r\ngrpc-message: fine\r\n"
FRAME = b"\x80\0\0\0" + bytes((len(TRAILERS),)) + TRAILERS
BINARY = b"application/grpc-web"
TEXT = b"application/grpc-web-text"


class Grpc:
    """An endpoint of gRPC that notes what it was asked."""

    def __init__(self, reply: Response | Exception) -> None:
        self._reply = reply
        self.version = b""
        self.headers = Headers()
        self.body = b""

    def __call__(self, asked: Request) -> Response:
        self.version, self.headers = asked.version, asked.headers.copy()
        while asked.body is not None and (piece := asked.body.read()):
            self.body += piece
        if isinstance(self._reply, Exception):
            raise self._reply
        return self._reply


def replied(*pieces: bytes | Exception, kind: bytes = b"application/grpc") -> Response:
    """Return a response that is still arriving."""
    found = response(200, (b"Content-Type", kind))
    found.body, found.ending = Arriving(*pieces, trailers=STATUS), Ending()
    return found


def called(
    kind: bytes, endpoint: Grpc, body: bytes = MESSAGE, *more: tuple[bytes, bytes]
) -> Response:
    asked = request((b"Content-Type", kind), *more, method=b"POST", body=Pieces(body))
    return GrpcWeb()(asked, endpoint)


@pytest.mark.parametrize(
    ("kind", "inside", "back"),
    [
        (BINARY, b"application/grpc", BINARY),
        (BINARY + b"+proto", b"application/grpc+proto", BINARY + b"+proto"),
        (b"Application/gRPC-Web+json; charset=x", b"application/grpc+json", BINARY + b"+json"),
    ],
)
def test_a_call_in_binary_changes_its_head_and_ends_with_its_trailers(
    kind: bytes, inside: bytes, back: bytes
) -> None:
    endpoint = Grpc(replied(MESSAGE, MESSAGE))
    answer = called(kind, endpoint)
    assert endpoint.headers.get(b"content-type") == inside
    assert endpoint.headers.get(b"te") == b"trailers"
    assert endpoint.headers.get(b"content-length") == b"%d" % len(MESSAGE)
    assert endpoint.body == MESSAGE
    assert answer.headers.get(b"content-type") == back
    assert body_of(answer) == MESSAGE * 2 + FRAME
    assert not isinstance(answer.body, bytes)
    assert answer.body.trailers is None


def test_a_call_in_text_is_decoded_and_each_piece_of_its_answer_encoded_by_itself() -> None:
    endpoint = Grpc(replied(MESSAGE, MESSAGE + b"x"))
    answer = called(TEXT, endpoint, b64encode(MESSAGE))
    assert endpoint.body == MESSAGE
    assert b"content-length" not in endpoint.headers
    assert answer.headers.get(b"content-type") == TEXT
    assert list(answer.body) == [b64encode(one) for one in (MESSAGE, MESSAGE + b"x", FRAME)]


@pytest.mark.parametrize(
    ("kind", "accept", "is_text"),
    [
        (TEXT, b"*/*", True),
        (TEXT, BINARY, False),
        (BINARY, b"text/plain, Application/grpc-web-text", True),
        (BINARY, b"*/*", False),
    ],
)
def test_accept_decides_on_the_form_of_the_answer(
    kind: bytes, accept: bytes, *, is_text: bool
) -> None:
    body = b64encode(MESSAGE) if kind == TEXT else MESSAGE
    answer = called(kind, Grpc(replied(MESSAGE)), body, (b"Accept", accept))
    assert answer.headers.get(b"content-type") == (TEXT if is_text else BINARY)
    assert (body_of(answer)[:14] == b64encode(MESSAGE)[:14]) is is_text


def test_a_short_answer_is_whole_and_a_status_in_a_head_stays_there() -> None:
    whole = replied(MESSAGE)
    whole.ending, inner = None, whole.body
    answer = called(TEXT, Grpc(whole), b64encode(MESSAGE))
    assert answer.body == b64encode(MESSAGE) + b64encode(FRAME)
    assert isinstance(inner, Arriving)
    assert inner.is_closed
    refused = response(200, (b"Content-Type", b"application/grpc+proto"), (b"grpc-status", b"12"))
    answer = called(BINARY, Grpc(refused))
    assert answer.headers.get(b"content-type") == BINARY + b"+proto"
    assert (answer.headers.get(b"grpc-status"), answer.body) == (b"12", b"")
    bare = response(200, (b"Content-Type", b"application/grpc"), body=MESSAGE)
    assert called(TEXT, Grpc(bare), b"").body == b64encode(MESSAGE)


def test_a_call_over_http_1_is_one_of_http_2_inside() -> None:
    endpoint = Grpc(replied(MESSAGE))
    fields = ((b"Connection", b"x-hop"), (b"X-Hop", b"1"), (b"X-Own", b"2"))
    asked = request((b"Content-Type", BINARY), *fields, method=b"POST", body=Pieces(MESSAGE))
    body = asked.body
    GrpcWeb()(asked, endpoint)
    assert endpoint.version == b"2"
    assert endpoint.headers.get(b"x-own") == b"2"
    assert not {b"connection", b"x-hop"} & set(endpoint.headers.names)
    assert (asked.version, asked.body) == (b"1.1", body)


def test_a_reset_call_has_a_status() -> None:
    reset = StreamReset("the endpoint reset the stream", ErrorCode.REFUSED_STREAM)
    answer = called(BINARY, Grpc(reset))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers.get(b"content-type") == BINARY
    assert answer.headers.get(b"grpc-status") == b"14"
    assert answer.headers.get(b"grpc-message") == b"the endpoint reset the stream"


@pytest.mark.parametrize(
    "kind", [b"application/grpc", b"application/grpc-webs", b"text/plain", b""]
)
def test_other_requests_stay_as_they_are(kind: bytes) -> None:
    reply = replied(MESSAGE)
    endpoint, body = Grpc(reply), reply.body
    answer = called(kind, endpoint)
    assert (endpoint.version, endpoint.headers.get(b"content-type")) == (b"1.1", kind)
    assert answer.body is body
    with pytest.raises(StreamReset):
        called(kind, Grpc(StreamReset("x")))
    assert GrpcWeb()(request(), Grpc(response(204))).status == 204


@pytest.mark.parametrize("kind", [b"text/html", b"application/grpc-web+proto"])
def test_an_answer_that_is_not_of_grpc_stays_as_it_is(kind: bytes) -> None:
    reply = replied(b"<p>", kind=kind)
    body = reply.body
    answer = called(TEXT, Grpc(reply), b64encode(MESSAGE))
    assert (answer.body, answer.headers.get(b"content-type")) == (body, kind)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_text_may_come_in_any_pieces_and_be_padded_within(size: int) -> None:
    text = b64encode(MESSAGE) + b64encode(b"ab") + b64encode(b"abc") + b64encode(MESSAGE)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    body = TextBody(Pieces(*pieces))
    assert b"".join(body) == MESSAGE + b"ababc" + MESSAGE
    assert body.is_complete


def test_text_may_be_read_again_from_within_a_group() -> None:
    body = TextBody(Pieces(b"AAAAA", b"AAA"))
    assert body.read() == b"\0\0\0"
    body.rewind()
    assert b"".join(body) == bytes(6)


@pytest.mark.parametrize("text", [b"AAAAA", b"A===", b"====", b"AA=A", b"AA\nA", b"\xff" * 4])
def test_what_is_not_base64_is_a_bad_request(text: bytes) -> None:
    body = TextBody(Pieces(text))
    with pytest.raises(BadRequest, match="base64"):
        list(body)


def test_a_text_is_not_complete_while_a_group_is_open() -> None:
    body = TextBody(Pieces(b"AAAAA"))
    assert body.read() == b"\0\0\0"
    assert not body.is_complete


def test_a_text_says_of_itself_what_its_body_says() -> None:
    pieces = Pieces(b"AAAA", is_complete=False, is_replayable=False)
    body = TextBody(pieces)
    assert (body.has_piece, body.is_complete, body.is_replayable) == (True, False, False)
    body.keep_at_most(7)
    assert pieces.keep == 7
    with pytest.raises(TypeError):
        body.fill(None)  # type: ignore[arg-type]
    body.close()
    assert not body.has_piece


def test_a_wait_for_text_may_be_interrupted() -> None:
    class Interrupted(Pieces):
        def read(self, other: object = None) -> bytes:
            return super().read() if other is None else None  # type: ignore[return-value]

    body = TextBody(Interrupted(b"AAAA"))
    assert body.read(object()) is None  # type: ignore[arg-type]
    assert body.read() == b"\0\0\0"


def test_an_answer_that_breaks_off_has_no_trailers() -> None:
    inner = Arriving(MESSAGE, ConnectionClosed("cut"), trailers=STATUS)
    body = WebBody(inner, is_text=False)
    assert body.read() == MESSAGE
    with pytest.raises(ConnectionClosed):
        body.read()
    body.close()
    assert inner.is_closed


def test_an_answer_without_trailers_ends_with_its_last_message() -> None:
    body = WebBody(Arriving(MESSAGE), is_text=True)
    assert not body.has_piece
    assert b64decode(b"".join(body)) == MESSAGE
    assert body.read() == b""
