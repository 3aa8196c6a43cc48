import socket

from meshproxy.discovery.interfaces import up_addresses


def test_the_loopback_address_is_among_them() -> None:
    assert "127.0.0.1" in up_addresses()


def test_each_of_them_can_be_bound_here() -> None:
    assert {bound(address) for address in up_addresses()} == up_addresses()


def bound(address: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        host: str = sock.getsockname()[0]
        return host
