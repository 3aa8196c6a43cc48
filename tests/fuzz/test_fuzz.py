"""The laws hold for what is kept, and for messages that were changed at random."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.h2 import frames
from tests.fuzz.__main__ import main
from tests.fuzz.corpus import CORPUS, escaped, kept, seeds
from tests.fuzz.h2_laws import hpack_block, http2
from tests.fuzz.laws import LAWS, chunked, egress, names, request, response
from tests.fuzz.referee import our_request, our_response, their_request, their_response
from tests.kit.h2 import GET, OK, POST, TRAILERS

SEEDS = {law: seeds(law) for law in LAWS}
ODD = [
    *(bytes([code]) for code in b"\0\t\n\x0b\r !,/0159:;=@[\\_ax\x7f\x85\xa0\xff"),
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\r\n ",
        b"\n\n",
        b"0x",
        b"5, 5",
        b"chunked",
        b"chunked, ",
        b"http://",
    ),
    *(b"Content-Length: 6\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(
        b"Host: b\r\n",
        b"HTTP/1.0",
        b"HEAD",
        b"0\r\n\r\n",
        b"5\r\nhello\r\n",
        b"HTTP/1.1 100 \r\n\r\n",
    ),
    *(b"/svc", b"=>", b" | ", b" & ", b"0.5*", b"\\x"),
]

PAYLOADS = [GET, POST, OK, TRAILERS, b"", bytes(4), b"\0\0\0\1", b"8 bytes.", b"\0\4\0\0\0\7"]


@st.composite
def mutants(draw: st.DrawFn, law: str) -> bytes:
    """Draw an input of *law*'s seeds, and change it in up to four places."""
    raw = draw(st.sampled_from(SEEDS[law]))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(raw)))
        cut = draw(st.integers(0, 6))
        raw = raw[:at] + draw(st.sampled_from([*ODD, b""])) + raw[at + cut :]
    return raw


@pytest.mark.parametrize("law", LAWS)
def test_what_is_kept_breaks_no_law(law: str) -> None:
    for data in SEEDS[law]:
        LAWS[law](data)


@given(mutants("request"))
def test_a_changed_request_is_refused_or_read_as_h11_reads_it(data: bytes) -> None:
    request(data)


@given(mutants("response"))
def test_a_changed_response_is_refused_or_read_as_h11_reads_it(data: bytes) -> None:
    response(data)


@given(mutants("chunked"))
def test_a_changed_chunked_body_is_read_the_same_however_it_is_cut(data: bytes) -> None:
    chunked(data)


@given(mutants("names"))
def test_a_changed_name_is_refused_or_shown_so_that_it_reads_the_same(data: bytes) -> None:
    names(data)


@given(st.binary(min_size=3, max_size=300))
def test_judging_in_steps_equals_judging_at_once(data: bytes) -> None:
    egress(data)


@given(mutants("hpack_block"))
def test_a_changed_block_is_refused_or_read_as_hpack_reads_it(data: bytes) -> None:
    hpack_block(data)


@st.composite
def dialogues(draw: st.DrawFn) -> bytes:
    """Draw frames of every type, right and wrong, for a few streams."""
    frame = st.builds(
        lambda kind, flags, stream_id, payload: (
            frames.head(len(payload), kind, flags, stream_id) + payload
        ),
        st.integers(0, 10),
        st.sampled_from([0, 1, 4, 5, 8, 0xD, 0x25]),
        st.integers(0, 9),
        st.sampled_from([*PAYLOADS, b"x" * 150]) | st.binary(max_size=12),
    )
    kept_ones = [seed[2:] for seed in SEEDS["http2"]]
    pieces = draw(st.lists(frame | st.sampled_from(kept_ones), max_size=12))
    return (
        draw(st.sampled_from([b"C", b"S"]))
        + draw(st.binary(min_size=1, max_size=1))
        + b"".join(pieces)
    )


@given(dialogues())
def test_frames_in_any_order_get_one_verdict_however_they_are_cut(data: bytes) -> None:
    http2(data)


@given(st.binary(max_size=200), st.sampled_from(sorted(LAWS)))
def test_noise_breaks_no_law(data: bytes, law: str) -> None:
    LAWS[law](data)


def test_the_referee_reads_whole_messages() -> None:
    raw = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok+"
    found = our_request(raw)
    assert found is not None
    assert found[0] == their_request(raw)
    assert (found[0].start, found[0].body, found[0].rest) == ((b"POST", b"/x"), b"ok", b"+")
    raw = b"HTTP/1.1 103 \r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello"
    got = our_response(raw, b"GET", ended=True)
    assert got is not None
    assert got[0] == their_response(raw, b"GET", ended=True)
    assert (got[0].start, got[0].body) == ((200, b"OK"), b"hello")
    assert our_response(raw, b"GET", ended=False) is None


def test_the_kept_inputs_are_small_and_read_back() -> None:
    for law in LAWS:
        file = CORPUS / "fuzz" / f"{law}.txt"
        assert [escaped(data) for data in kept(law)] == file.read_text("ascii").splitlines()
        assert file.stat().st_size < 100_000


def test_without_atheris_the_search_fails_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setattr(sys, "argv", ["fuzz", "1"])
    assert main() == 2
    assert "atheris is not installed" in capsys.readouterr().err


def test_an_unknown_law_is_an_error() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "1", "gravity"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, "no such law: gravity" in ran.stderr) == (2, True)
