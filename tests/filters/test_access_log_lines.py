"""The lines of the access log."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.errors import ConnectFailed
from meshproxy.filters.access_log_lines import LogEntry, combined, json_line, places
from meshproxy.http.errors import error_response
from meshproxy.http.headers import Headers, of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request
from meshproxy.naming.path import Path
from tests.kit.asked import Peer
from tests.kit.messages import request, response


def asked(*fields: tuple[bytes, bytes], **more: Any) -> Request:
    known: dict[str, Any] = {"target": b"/a?b", "peer": Peer()}
    made = request(*fields)
    for name, value in (known | more).items():
        setattr(made, name, value)
    return made


def entry(made: Request | None = None, **more: Any) -> LogEntry:
    """Return an entry of *made* with *more* facts."""
    made = made or asked()
    headers = made.headers
    lines = dict(reversed(list(zip(headers.names, headers.lines, strict=True))))
    noted = made.target, *(lines.get(name, b"") for name in (b"host", b"referer", b"user-agent"))
    known: dict[str, Any] = {
        "asked": noted, "response": None, "error": None, "status": 200, "sent": 12,
        "is_whole": True, "latency": 0.0, "duration": 0.0, "ended_at": 1700000000.25, "names": (),
    }  # fmt: skip
    return LogEntry(made, **(known | more))


# --- what: combined ---


@pytest.fixture
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_berlin")
def test_the_combined_line() -> None:
    line = combined(*entry(asked((b"Referer", b"http://x/"), (b"User-Agent", b"curl/8"))))
    assert line == (
        b"web 192.0.2.1 - - [14/11/2023:23:13:20 CET] "
        b'"GET /a?b HTTP/1.1" 200 12 "http://x/" "curl/8"\n'
    )


@pytest.mark.usefixtures("_in_berlin")
def test_each_second_has_its_time() -> None:
    lines = [combined(*entry(ended_at=at)) for at in (1700000061.0, 1700000061.9, 1700000060.9)]
    assert [line.split(b" CET")[0][-2:] for line in lines] == [b"21", b"21", b"20"]


def test_what_is_absent_is_a_dash() -> None:
    line = combined(*entry(asked(peer=None, headers=of()), status=None, sent=0))
    assert line.startswith(b"- - - - [")
    assert line.endswith(b'] "GET /a?b HTTP/1.1" - 0 "-" "-"\n')


def test_an_ipv6_client_loses_brackets_and_port() -> None:
    assert combined(*entry(asked(peer=Peer("[2001:db8::1]:99")))).startswith(
        b"web 2001:db8::1 - - ["
    )


def test_no_value_leaves_its_place() -> None:
    agent = b'User-Agent: x" 200 1 "\\\r\n\x00\x7f\xe9'
    headers = Headers([b"host", b"user-agent"], [b"Host: a b", agent])
    line = combined(*entry(asked(headers=headers, target=b'/"\x1b[')))
    assert line.startswith(b"a\\x20b ")
    assert b'"GET /\\x22\\x1B[ HTTP/1.1"' in line
    assert line.endswith(b' "x\\x22 200 1 \\x22\\x5C\\x0D\\x0A\\x00\\x7F\\xE9"\n')
    assert line.count(b"\n") == 1


# --- what: JSON ---


def test_the_json_line() -> None:
    made = asked(
        dst=Path.parse("/svc/web"),
        bound_id=Path.parse("/#/fs/web"),
        endpoint="127.0.0.1:80",
        retries=1,
        phases={"connect": 0.004},
    )
    made.headers.add(b"l5d-reqid", b"00000000000000ab")
    answer = response(200)
    answer.failed = True
    line = json_line(
        *entry(
            made,
            response=answer,
            duration=0.0123456,
            latency=0.010,
            names=("/svc/web", "/#/fs/web"),
        )
    )
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "remote": "192.0.2.1:5000",
        "host": "web",
        "method": "GET",
        "target": "/a?b",
        "version": "HTTP/1.1",
        "status": 200,
        "bytes": 12,
        "complete": True,
        "duration_ms": 12.346,
        "referer": None,
        "user_agent": None,
        "service": "/svc/web",
        "client": "/#/fs/web",
        "upstream": "127.0.0.1:80",
        "retries": 1,
        "error": None,
        "l5d_err": None,
        "reason": "endpoint",
        "names": ["/svc/web", "/#/fs/web"],
        "trace": "00000000000000ab",
        "phases_ms": {"connect": 4.0, "wait": 6.0, "body": 2.346},
        "decision": None,
        "rule": None,
        "reported": [],
        "caller": None,
    }


def test_json_is_one_line_of_ascii_whatever_came() -> None:
    agent = b'User-Agent: "\\\r\n\x00\xe9'
    made = asked(peer=None, headers=Headers([b"user-agent"], [agent]))
    shown = error_response(ConnectFailed("a\nb\u00e9"), Limits())
    line = json_line(*entry(made, response=shown))
    assert line.isascii()
    assert line.count(b"\n") == 1
    read = json.loads(line)
    assert (read["user_agent"], read["l5d_err"]) == ('"\\\r\n\x00\u00e9', "a\nb\u00e9")
    assert (read["error"], read["remote"], read["host"]) == ("connect", None, None)


# --- what is remembered ---


def test_a_line_too_long_to_be_remembered_is_shown_the_same() -> None:
    headers = Headers([b"host", b"referer"], [b"host:web", b"Referer:  " + b"r" * 500 + b" "])
    shown = combined(*entry(asked(headers=headers)))
    assert shown.startswith(b"web 192.0.2.1 ")
    assert b' 12 "' + b"r" * 500 + b'" "-"\n' in shown
    assert shown == combined(*entry(asked(headers=headers)))


def test_places_of_headers_are_found_and_long_heads_are_not_kept() -> None:
    assert places[b"accept", b"user-agent", b"host"] == (2, -1, 1)
    assert (b"accept", b"user-agent", b"host") in places
    long = (b"referer", b"x" * 512)
    assert places[long] == (-1, 0, -1)
    assert long not in places
