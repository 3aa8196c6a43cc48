"""Which addresses are this machine's, as its kernel has it."""

import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from meshproxy.discovery.interfaces import up_addresses
from meshproxy.discovery.own_addresses import is_own
from tests.kit.namespace import Namespace, Unavailable

ASK = """
import sys
from ipaddress import ip_address
from meshproxy.discovery.own_addresses import is_own
print(*(host for host in sys.argv[1:] if is_own(ip_address(host))))
"""
OTHERS = ["203.0.113.7", "255.255.255.254", "2001:db8::7", "100::1"]


@pytest.fixture
def machine() -> Iterator[None]:
    """Have a network with 10.9.0.1, a second address beside it, IPv6, and a local range."""
    try:
        with Namespace():
            for command in (
                "link add test0 type veth peer name test1",
                "address add 10.9.0.1/24 dev test0",
                "address add 10.9.0.2/24 dev test0",
                "address add fd09::1/64 dev test0 nodad",
                "link set test0 up",
                "link set test1 up",
                "route add local 10.8.0.0/16 dev lo",
            ):
                subprocess.run(["ip", *command.split()], check=True)
            yield
    except (Unavailable, subprocess.CalledProcessError) as why:
        pytest.skip(str(why))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", *sorted(up_addresses())])
def test_loopback_and_every_interface_are_ours(host: str) -> None:
    assert is_own(ip_address(host))


@pytest.mark.parametrize("host", OTHERS)
def test_other_machines_are_not(host: str) -> None:
    assert not is_own(ip_address(host))


@pytest.mark.usefixtures("machine")
def test_second_addresses_and_local_ranges_are_ours() -> None:
    hosts = ["10.9.0.1", "10.9.0.2", "fd09::1", "10.8.1.2", "10.9.0.3", "fd09::2"]
    assert [is_own(ip_address(host)) for host in hosts] == [True] * 4 + [False] * 2


@pytest.mark.usefixtures("machine")
def test_a_machine_that_may_bind_to_any_address_does_not_own_them_all() -> None:
    for family in ("ipv4", "ipv6"):
        Path(f"/proc/sys/net/{family}/ip_nonlocal_bind").write_text("1")
    ours = ["10.9.0.1", "127.0.0.1", "127.9.8.7", "::1", "fd09::1", "10.8.1.2"]
    asked = [sys.executable, "-c", ASK, *ours, "10.9.0.3", "fd09::2", *OTHERS]
    answer = subprocess.run(asked, check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ours
