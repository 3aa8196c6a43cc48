"""The lines of the access log."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from meshproxy.filters.access_log_lines import LogEntry, combined, json_line


def entry(**more: Any) -> LogEntry:
    known: dict[str, Any] = {
        "remote": "192.0.2.1:5000",
        "host": b"web",
        "method": b"GET",
        "target": b"/a?b",
        "version": b"1.1",
        "referer": None,
        "agent": None,
        "started": 0.0,
        "ended_at": 1700000000.25,
        "status": 200,
        "sent": 12,
        "is_whole": True,
    }
    return LogEntry(**known | more)


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
    line = combined(entry(referer=b"http://x/", agent=b"curl/8"))
    assert line == (
        b"web 192.0.2.1 - - [14/11/2023:23:13:20 CET] "
        b'"GET /a?b HTTP/1.1" 200 12 "http://x/" "curl/8"\n'
    )


def test_what_is_absent_is_a_dash() -> None:
    line = combined(entry(host=None, remote="", status=None, sent=0))
    assert line.startswith(b"- - - - [")
    assert line.endswith(b'] "GET /a?b HTTP/1.1" - 0 "-" "-"\n')


def test_an_ipv6_client_loses_brackets_and_port() -> None:
    assert combined(entry(remote="[2001:db8::1]:99")).startswith(b"web 2001:db8::1 - - [")


def test_no_value_leaves_its_place() -> None:
    line = combined(entry(host=b"a b", agent=b'x" 200 1 "\\\r\n\x00\x7f\xe9', target=b'/"\x1b['))
    assert line.startswith(b"a\\x20b ")
    assert b'"GET /\\x22\\x1B[ HTTP/1.1"' in line
    assert line.endswith(b' "x\\x22 200 1 \\x22\\x5C\\x0D\\x0A\\x00\\x7F\\xE9"\n')
    assert line.count(b"\n") == 1


# --- what: JSON ---


def test_the_json_line() -> None:
    line = json_line(
        entry(
            duration=0.0123456,
            service="/svc/web",
            client="/#/fs/web",
            endpoint="127.0.0.1:80",
            retries=1,
            latency=0.010,
            failure="endpoint",
            names=("/svc/web", "/#/fs/web"),
            trace="00000000000000ab",
            phases={"connect": 4.0},
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
    line = json_line(entry(agent=b'"\\\r\n\x00\xe9', reason="a\nb\u00e9", error="x", remote=""))
    assert line.isascii()
    assert line.count(b"\n") == 1
    read = json.loads(line)
    assert (read["user_agent"], read["l5d_err"]) == ('"\\\r\n\x00\u00e9', "a\nb\u00e9")
    assert (read["error"], read["remote"]) == ("x", None)
