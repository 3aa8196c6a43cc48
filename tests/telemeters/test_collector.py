import socket

import pytest

from meshproxy.metrics.instruments import Counter
from meshproxy.telemeters.collector import Collector, find


@pytest.fixture
def sink() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(5)
    return sock


def send(collector: Collector, *lines: str) -> None:
    pipeline = collector.pipeline()
    pipeline.add(lines)
    pipeline.send()


def test_lines_share_a_datagram(sink: socket.socket) -> None:
    dropped = Counter()
    collector = find("127.0.0.1", sink.getsockname()[1], dropped)
    send(collector, "a:1|c", "b:2|c")
    assert sink.recv(2000) == b"a:1|c\nb:2|c"
    assert dropped.value == 0
    collector.close()
    sink.close()


def test_a_datagram_is_filled_to_its_last_byte_and_no_further(sink: socket.socket) -> None:
    collector = find("127.0.0.1", sink.getsockname()[1], Counter())
    lines = ["a" * 698, "b" * 700, "c" * 700, "d" * 700, "e" * 1399, "f", "g" * 1400]
    send(collector, *lines)
    expected = ["\n".join(lines[:2]), lines[2], lines[3], lines[4], lines[5], lines[6]]
    assert [sink.recv(2000).decode() for _ in expected] == expected
    collector.close()
    sink.close()


def test_an_empty_pipeline_sends_nothing(sink: socket.socket) -> None:
    collector = find("127.0.0.1", sink.getsockname()[1], Counter())
    send(collector)
    send(collector, "a:1|c")
    assert sink.recv(2000) == b"a:1|c"
    collector.close()
    sink.close()


def test_what_a_closed_port_refused_is_counted_and_a_new_listener_misses_nothing(
    sink: socket.socket,
) -> None:
    port = sink.getsockname()[1]
    dropped = Counter()
    collector = find("127.0.0.1", port, dropped)
    sink.close()
    send(collector, "a:1|c", "b:1|c")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", port))
        again.settimeout(5)
        send(collector, "c:1|c")
        assert again.recv(2000) == b"c:1|c"
    assert dropped.value == 2
    collector.close()


def test_a_line_too_long_for_any_datagram_is_dropped(sink: socket.socket) -> None:
    dropped = Counter()
    collector = find("127.0.0.1", sink.getsockname()[1], dropped)
    send(collector, "a" * 70000 + ":1|c")
    assert dropped.value == 1
    collector.close()
    sink.close()


def test_a_closed_collector_drops() -> None:
    dropped = Counter()
    collector = find("127.0.0.1", 9, dropped)
    collector.close()
    send(collector, "a:1|c", "b:1|c")
    assert dropped.value == 2


def test_ipv6_is_tried_when_there_is_no_ipv4() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1", 0))
        sock.settimeout(5)
        collector = find("::1", sock.getsockname()[1], Counter())
        send(collector, "a:1|c")
        assert sock.recv(2000) == b"a:1|c"
        collector.close()


def test_a_host_without_address_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(socket.gaierror):
        find("statsd.example", 8125, Counter())


def test_a_name_that_cannot_be_looked_up_is_out_of_reach_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for host in ("a" * 64 + ".test", "a..b"):
        with pytest.raises(OSError, match="not a host name"):
            find(host, 8125, Counter())
    assert capfd.readouterr().err == ""
