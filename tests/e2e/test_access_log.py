"""The access log of a running proxy: one line for each request, and never in the way."""

import json
import os
import re
from pathlib import Path
from typing import Any

from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port} ; /svc/gone => /$/inet/127.0.0.1/1 ;
  httpAccessLog: {path}
  {router}
  servers:
  - {{port: 0, ip: 127.0.0.1, {server}}}
"""


def config(port: int, path: Path, router: str = "", server: str = "") -> str:
    return CONFIG.format(port=port, path=path, router=router, server=server)


def ok(received: Received) -> Answer:
    return Answer(status=503 if received.target == "/busy" else 200, body=b"hello")


def lines(path: Path, count: int) -> list[str]:
    """Wait for *count* lines."""
    wait_until(lambda: path.exists() and path.read_text().count("\n") >= count)
    found = path.read_text().splitlines()
    assert len(found) == count
    return found


def records(path: Path, count: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(path, count)]


def test_a_line_in_the_combined_format(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with Downstream(ok) as origin, Proxy(config(origin.port, path)) as proxy:
        get(proxy.port(), "web", "/a?b", "User-Agent: ua", "Referer: http://x/")
        get(proxy.port(), "gone", "/", 'User-Agent: "; \\')
        first, second = lines(path, 2)
    stamp = r"\[\d\d/\d\d/\d{4}:\d\d:\d\d:\d\d \S+\]"
    assert re.fullmatch(
        rf'web 127\.0\.0\.1 - - {stamp} "GET /a\?b HTTP/1\.1" 200 5 "http://x/" "ua"', first
    )
    assert re.fullmatch(
        rf'gone 127\.0\.0\.1 - - {stamp} "GET / HTTP/1\.1" 502 \d+ "-" "\\x22; \\x5C"', second
    )


def test_a_request_that_was_tried_often_has_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    retrying = (
        "httpAccessLogFormat: json\n"
        "  service: {responseClassifier: {kind: io.l5d.http.retryableRead5XX}, "
        "retries: {budget: {minRetriesPerSec: 1, ttlSecs: 2, percentCanRetry: 0.0}}}"
    )
    with Downstream(ok) as origin, Proxy(config(origin.port, path, retrying)) as proxy:
        get(proxy.port(), "web", "/busy")
        (record,) = records(path, 1)
    assert record["retries"] == len(origin.requests) - 1 == 2
    assert (record["status"], record["bytes"], record["complete"]) == (503, 5, True)
    assert record["upstream"] == origin.address
    assert record["service"] == "/svc/web"
    assert record["client"] == f"/$/inet/127.0.0.1/{origin.port}"
    assert record["error"] is None


def test_errors_are_explained_even_where_clients_are_told_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with (
        Downstream(ok) as origin,
        Proxy(
            config(origin.port, path, "httpAccessLogFormat: json", "clearContext: true")
        ) as proxy,
    ):
        assert get(proxy.port(), "gone").body == b""
        (record,) = records(path, 1)
    assert (record["status"], record["bytes"], record["upstream"]) == (502, 0, "127.0.0.1:1")
    assert record["error"] == "connect"
    assert record["l5d_err"].startswith("Unable to establish connection to 127.0.0.1:1.")


def test_bytes_are_those_that_left(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    packing = "httpAccessLogFormat: json\n  compressionLevel: 9"

    def text(_: Received) -> Answer:
        return Answer(body=iter([b"word " * 99, b"more"]), headers=(("Content-Type", "text/css"),))

    with Downstream(text) as origin, Proxy(config(origin.port, path, packing)) as proxy:
        reply = get(proxy.port(), "web", "/", "Accept-Encoding: gzip")
        (record,) = records(path, 1)
    assert record["bytes"] == len(reply.body) < 400


def test_a_client_that_leaves_in_its_request_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    as_json = "httpAccessLogFormat: json"
    with Downstream(ok) as origin, Proxy(config(origin.port, path, as_json)) as proxy:
        with WireClient(proxy.port()) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\nab")
        (record,) = records(path, 1)
    assert (record["method"], record["status"], record["error"]) == ("POST", 400, "client_gone")


def test_a_missing_directory_fails_no_request(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    path = folder / "a.log"
    with Downstream(ok) as origin, Proxy(config(origin.port, path)) as proxy:
        assert get(proxy.port(), "web", "/lost").status == 200
        wait_until(lambda: proxy.metrics()["rt/http/access_log/failures"] == 1)
        folder.mkdir()
        assert get(proxy.port(), "web", "/kept").status == 200
        (line,) = lines(path, 1)
    assert '"GET /kept HTTP/1.1"' in line


def test_a_full_disk_fails_no_request() -> None:
    with Downstream(ok) as origin, Proxy(config(origin.port, Path("/dev/full"))) as proxy:
        for count in range(1, 4):
            assert get(proxy.port(), "web").status == 200
            wait_until(lambda n=count: proxy.metrics()["rt/http/access_log/failures"] == n)


def test_a_disk_that_does_not_answer_delays_no_request(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with Downstream(ok) as origin, Proxy(config(origin.port, path)) as proxy:
        for _ in range(3):
            assert get(proxy.port(), "web").status == 200
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            proxy.close()
            assert os.read(reader, 65536).count(b"\n") == 3
        finally:
            os.close(reader)


def test_the_log_is_rolled_and_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("before\n")
    small = "httpAccessLogRollPolicy: 50.bytes\n  httpAccessLogRotateCount: 1"
    with Downstream(ok) as origin, Proxy(config(origin.port, path, small)) as proxy:
        for target in "abc":
            get(proxy.port(), "web", f"/{target}")
    contents = [file.read_text() for file in sorted(tmp_path.iterdir())]
    assert [("/a" in text, "/b" in text, "/c" in text) for text in contents] == [
        (False, True, False),
        (False, False, True),
    ]


def test_logs_are_opened_again_when_asked(tmp_path: Path) -> None:
    path, moved = tmp_path / "a.log", tmp_path / "moved"
    with Downstream(ok) as origin, Proxy(config(origin.port, path)) as proxy:
        get(proxy.port(), "web", "/before")
        lines(path, 1)
        path.rename(moved)
        proxy.linker.reopen_logs()
        wait_until(path.exists)
        get(proxy.port(), "web", "/after")
        (line,) = lines(path, 1)
    assert "/after" in line
    assert "/before" in moved.read_text()


def test_bytes_that_never_became_a_request_have_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with Downstream(ok) as origin, Proxy(config(origin.port, path)) as proxy:
        for head in (b"GET / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n"):
            with WireClient(proxy.port()) as client:
                client.send(head)
                assert client.read_to_end().startswith(b"HTTP/1.1 400 ")
        first, second = lines(path, 2)
    assert re.search(r'^- 127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 400 \d+ "-" "-"$', first)
    assert '"- - HTTP/1.1" 400 ' in second
