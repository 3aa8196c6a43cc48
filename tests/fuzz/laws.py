"""What holds for every input, however odd: each law takes bytes and raises when it is broken.

Parsers refuse with their own error and nothing else; what they accept reads the same again, is read
the same by h11, and does not depend on how it was cut.
"""

import contextlib
import itertools
import re
from collections.abc import Callable

import h11

from meshproxy.errors import BadRequest, BadResponse, ProxyError
from meshproxy.http import hop
from meshproxy.http.chunked import ChunkedDecoder, decode_whole
from meshproxy.http.head import CRLF, parse_request, parse_response
from meshproxy.http.headers import TEXT, Headers
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.parser import ParseError
from meshproxy.naming.path import Path
from tests.fuzz.h2_laws import hpack_block, http2
from tests.fuzz.judging import Case, judged_at_once, policy_of
from tests.fuzz.referee import (
    FRAMING,
    Fields,
    Message,
    our_request,
    our_response,
    their_request,
    their_response,
)
from tests.kit.names import parse_tree

MAX_TRAILERS = 64
"""Bytes of trailers of a chunked body: few, so that this limit is met."""
_EMPTY_LINES = re.compile(rb"(?:\r\n)*")
_SPACED_EXTENSION = re.compile(rb"\n[0-9A-Fa-f]+[ \t]+;")


def request(data: bytes) -> None:
    """A request."""
    raw = data[_EMPTY_LINES.match(data).end() :]  # h11 wants none, RFC 9112 2.2 allows them
    with contextlib.suppress(ProxyError):
        if (found := our_request(raw)) is None:
            return
        ours, sent = found
        _check_framing(sent.headers)
        first = b"%b %b HTTP/1.1" % (sent.method, sent.target)
        again = parse_request(CRLF.join([first, *sent.headers.lines]))
        assert again[:3] == (sent.method, sent.target, b"1.1")
        assert list(again[3].items()) == list(sent.headers.items())
        assert not first.translate(None, TEXT)
        if ours.start[1].isascii():  # what is not, is passed on as it is; h11 refuses it
            _compare(ours, lambda: their_request(raw), raw)


def response(data: bytes) -> None:
    """A response; the first byte chooses the request's method, and whether the input ends."""
    options, raw = data[:1], data[1:]
    method = b"HEAD" if options == b"H" else b"GET"
    ended = options == b"E"
    with contextlib.suppress(ProxyError):
        if (found := our_response(raw, method, ended=ended)) is None:
            return
        ours, got = found
        hop.strip(got.headers, may_upgrade=False)
        _check_framing(got.headers)
        first = b"HTTP/1.1 %d %b" % (got.status, got.reason)
        version, status, reason, headers = parse_response(CRLF.join([first, *got.headers.lines]))
        assert (version, status, reason) == (b"1.1", got.status, got.reason)
        assert list(headers.items()) == list(got.headers.items())
        if got.status != 101:  # h11 has not proposed to switch protocols
            _compare(ours, lambda: their_response(raw, method, ended=ended), raw)


def chunked(data: bytes) -> None:
    """A chunked body of either side; the first two bytes say where it is cut."""
    cuts = sorted({0, *data[:2], len(data) - 2}) if len(data) > 2 else [0, 0]
    raw = data[2:]
    clients, endpoints = (_chunked_of(side, raw, cuts) for side in (BadRequest, BadResponse))
    if clients != "refused":
        assert endpoints == clients, "an endpoint may pad its sizes, and do nothing else more"


def _chunked_of(refused: type[ProxyError], raw: bytes, cuts: list[int]) -> object:
    """Return what becomes of *raw* from one side, however it is cut."""
    whole = _decode([raw], refused)
    assert _decode([raw[a:b] for a, b in itertools.pairwise(cuts)], refused) == whole
    assert _decode([raw[at : at + 1] for at in range(len(raw))], refused) == whole
    if (at_once := decode_whole(raw, refused, MAX_TRAILERS)) is not None:
        assert whole == (at_once[0], [], at_once[1])
    elif isinstance(whole, tuple):
        assert whole[1], "only a body with trailers is left to those who read piece by piece"
    return whole


def names(data: bytes) -> None:
    """A path, a pattern of one, a name tree and a delegation table."""
    text = data.decode("latin-1")
    for read in (Path.parse, parse_tree, lambda text: Dtab.parse(text, limit=256)):
        with contextlib.suppress(ParseError):
            shown = read(text).show()
            assert read(shown).show() == shown
    with contextlib.suppress(ValueError):
        PathMatcher.parse(text)


def egress(data: bytes) -> None:
    """Egress rules: judging in steps equals judging at once."""
    case = Case(data)
    at_once = judged_at_once(case)
    policy = policy_of(case)
    assert policy.given(case.facts).verdict() == at_once
    for facts in case.steps():
        policy = policy.given(facts)
        early = policy.verdict()
        if early is not None:
            assert early.is_allowed == at_once.is_allowed, "what is decided stays decided"
    assert policy.verdict() == at_once


LAWS: dict[str, Callable[[bytes], None]] = {
    law.__name__: law for law in (request, response, chunked, names, egress, http2, hpack_block)
}


def _check_framing(headers: Headers) -> None:
    framing = [name for name in headers.names if name in FRAMING]
    assert len(framing) <= 1, framing
    for name, line in zip(headers.names, headers.lines, strict=True):
        assert not line.translate(None, TEXT), line
        assert line[: len(name) + 1].lower() == name + b":"


def _compare(ours: Message, read: Callable[[], Message], raw: bytes) -> None:
    try:
        theirs = read()
    except h11.RemoteProtocolError as error:
        if not _is_stricter(str(error), raw):
            raise
        return
    assert (theirs.start, theirs.body, theirs.rest) == (ours.start, ours.body, ours.rest)
    assert _others(theirs.fields) == _others(ours.fields)


def _is_stricter(error: str, raw: bytes) -> bool:
    """Whether h11 refuses *raw* for what RFC 9112 allows."""
    if "illegal chunk header" in error:
        return _SPACED_EXTENSION.search(raw) is not None  # 7.1.1: `BWS ";"`
    # 6.3: whatever the fields say, HEAD, 1xx, 204 and 304 have no body
    return "Transfer-Encoding" in error or "Content-Length" in error


def _others(fields: Fields) -> Fields:
    return [field for field in fields if field[0] not in FRAMING]


def _decode(
    segments: list[bytes], refused: type[ProxyError]
) -> tuple[bytes, list[bytes], bytes] | str | None:
    decoder = ChunkedDecoder(refused, MAX_TRAILERS)
    pieces: list[bytes] = []
    rest = b""
    try:
        for segment in segments:
            if decoder.done:
                rest += segment
            else:
                pieces += decoder.feed(segment)
    except refused:
        return "refused"
    if not decoder.done:
        return None
    trailers = decoder.trailers.lines if decoder.trailers else []
    return b"".join(pieces), trailers, decoder.rest + rest
