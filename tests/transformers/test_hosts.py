from typing import Any

import pytest

from meshproxy.discovery.interfaces import up_addresses
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from meshproxy.naming.bound import ChosenBy
from meshproxy.transformers.hosts import LocalhostConfig, SpecificHostConfig
from meshproxy.var import Var


def test_only_addresses_of_this_machine_are_kept(build: Any, follow: Any) -> None:
    mine = sorted(f"{host}:80" for host in up_addresses())
    followed = follow(build(LocalhostConfig()), *mine, "203.0.113.1:80", "::1:80")
    assert followed.chosen_by is ChosenBy.REQUEST
    assert followed.id == "/%/io.l5d.localhost/#/x"
    assert followed.now == mine
    followed.close()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.2", ["10.0.0.2:80", "10.0.0.2:81"]),
        ("fd00:0::1", ["fd00::1:80"]),
        ("10.0.0.9", ADDR_NEG),
    ],
)
def test_only_addresses_of_one_host_are_kept(
    build: Any, follow: Any, host: str, expected: object
) -> None:
    addresses = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.2:81", "fd00::1:80"]
    followed = follow(build(SpecificHostConfig(host=host)), *addresses)
    assert followed.id == "/%/io.l5d.specificHost/#/x"
    assert followed.now == expected
    followed.close()


def test_a_host_name_is_followed(build: Any, follow: Any) -> None:
    addr: Var[Addr] = Var(ADDR_PENDING)
    build.names.known["one.example"] = addr
    followed = follow(build(SpecificHostConfig(host="one.example")), "10.0.0.1:80", "10.0.0.2:81")
    assert followed.now == ADDR_PENDING
    addr.set(AddrBound(frozenset({Address("10.0.0.2", 80)})))
    assert followed.now == ["10.0.0.2:81"]
    addr.set(AddrFailed("no answer"))
    assert followed.now == AddrFailed("no answer")
    followed.addr.set(ADDR_NEG)
    assert followed.now == ADDR_NEG
    followed.close()
