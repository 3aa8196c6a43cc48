from typing import Any

from meshproxy.config.decode import Port
from meshproxy.naming.addr import ADDR_PENDING
from meshproxy.naming.bound import ChosenBy
from meshproxy.naming.path import Path
from meshproxy.transformers.port import PortConfig


def test_every_address_gets_the_port(build: Any, follow: Any) -> None:
    followed = follow(build(PortConfig(port=Port(4141))), "10.0.0.1:80", "10.0.0.2:81")
    assert (followed.id, followed.chosen_by) == ("/%/io.l5d.port/4141/#/x", ChosenBy.NAMER)
    assert followed.now == ["10.0.0.1:4141", "10.0.0.2:4141"]
    followed.close()


def test_what_is_not_bound_stays_as_it_is(build: Any, follow: Any) -> None:
    followed = follow(build(PortConfig(port=Port(4141), prefix=Path.of("p"))))
    assert followed.id == "/%/p/#/x"
    followed.addr.set(ADDR_PENDING)
    assert followed.now == ADDR_PENDING
    followed.close()
