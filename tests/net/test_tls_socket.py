"""The handshake: what both sides learn, and how it fails."""

import ssl
from pathlib import Path

import gevent
import pytest
from gevent import socket

from meshproxy.net.tls_socket import TlsSocket
from tests.kit.certs import Certs
from tests.kit.pair import tcp_pair
from tests.kit.wire import WAIT_S


def meet(server: TlsSocket, client: TlsSocket) -> None:
    shaking = gevent.spawn(server.shake_hands)
    with gevent.Timeout(WAIT_S):
        client.shake_hands()
        shaking.get()


def test_both_sides_know_each_other(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    server, client = certs.server("a.test"), certs.client()
    for context in (server, client):
        context.set_alpn_protocols(["h2", "http/1.1"])
    ours, theirs = tcp_pair()
    serving = TlsSocket(ours, server, server_side=True)
    asking = TlsSocket(theirs, client, server_name="a.test")
    meet(serving, asking)
    assert serving.alpn == asking.alpn == "h2"
    assert serving.getpeercert() is None
    presented = asking.getpeercert()
    assert isinstance(presented, dict)
    assert presented["subjectAltName"] == (("DNS", "a.test"),)
    assert asking.getpeercert(binary_form=True)
    serving.close()
    asking.close()


def test_a_session_is_resumed(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    server, client = certs.server("a.test"), certs.client()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    session, reused = None, []
    for _ in range(2):
        ours, theirs = tcp_pair()
        serving = TlsSocket(ours, server, server_side=True)
        asking = TlsSocket(theirs, client, server_name="a.test", resumes=session)
        meet(serving, asking)
        session = asking.session
        reused.append(asking.tls.session_reused)
        serving.close()
        asking.close()
    assert reused == [False, True]


def test_a_refusal_is_told_the_peer_and_closes_the_socket(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    ours, theirs = tcp_pair()
    serving = TlsSocket(ours, certs.server("a.test"), server_side=True)
    asking = TlsSocket(theirs, certs.client(), server_name="b.test")
    shaking = gevent.spawn(serving.shake_hands)
    with gevent.Timeout(WAIT_S):
        with pytest.raises(ssl.SSLCertVerificationError):
            asking.shake_hands()
        with pytest.raises(ssl.SSLError, match="alert"):
            serving.tls.read(1) if shaking.get() is None else None
    assert asking.sock.fileno() < 0
    serving.close()


def test_an_end_within_the_handshake_is_an_error(tmp_path: Path) -> None:
    ours, theirs = tcp_pair()
    serving = TlsSocket(ours, Certs(tmp_path).server("a.test"), server_side=True)
    theirs.sendall(b"\x16\x03\x01")
    theirs.shutdown(socket.SHUT_WR)
    with gevent.Timeout(WAIT_S), pytest.raises(ssl.SSLEOFError, match="within the TLS handshake"):
        serving.shake_hands()
    assert serving.sock.fileno() < 0
    theirs.close()


def test_who_speaks_no_tls_is_refused(tmp_path: Path) -> None:
    ours, theirs = tcp_pair()
    serving = TlsSocket(ours, Certs(tmp_path).server("a.test"), server_side=True)
    theirs.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    with gevent.Timeout(WAIT_S), pytest.raises(ssl.SSLError, match="http request"):
        serving.shake_hands()
    assert serving.sock.fileno() < 0
    theirs.close()
