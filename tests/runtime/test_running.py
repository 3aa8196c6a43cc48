"""What a reload takes over: what was built from the same, with the same files."""

from pathlib import Path as File

import pytest

from meshproxy.config.decode import Port, RegularFile
from meshproxy.config.model import Kinded
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.namers.consul import ConsulNamerConfig
from meshproxy.namers.marathon import MarathonNamerConfig
from meshproxy.naming.path import Path
from meshproxy.runtime.running import Running, names_another
from tests.kit.certs import Certs


def consul(port: int = 8500, **keys: object) -> ConsulNamerConfig:
    return ConsulNamerConfig(port=Port(port), **keys)  # type: ignore[arg-type]


def test_what_has_an_equal_configuration_and_uses_the_same_is_taken_over() -> None:
    used, other = object(), object()
    before = Running()
    product = before.get(consul(), (used,), object)
    after = Running(before)
    assert after.get(consul(), (other,), object) is not product
    assert after.get(consul(1), (used,), object) is not product
    assert after.get(consul(), (used,), object) is product
    assert after.get(consul(), (used,), object) is not product


def test_each_product_is_taken_over_once_and_by_the_next_configuration() -> None:
    before = Running()
    products = [before.get(consul(), (), object) for _ in range(2)]
    after = Running(before)
    assert [after.get(consul(), (), object) for _ in range(2)] == products
    assert [Running(after).get(consul(), (), object)] == products[:1]


def test_what_is_not_taken_over_is_forgotten() -> None:
    before = Running()
    product = before.get(consul(), (), object)
    after = Running(before)
    after.forget_before()
    assert after.get(consul(), (), object) is not product
    assert Running(after).built == []


def test_with_other_certificates_it_is_built_anew(tmp_path: File) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Certs(tmp_path).bundle.read_bytes())
    tls = ClientTlsConfig(common_name="a.test", trust_certs_bundle=RegularFile(str(bundle)))
    first = Running()
    product = first.get(consul(tls=tls), (), object)
    second = Running(first)
    assert second.get(consul(tls=tls), (), object) is product
    bundle.write_bytes(bundle.read_bytes() + b"\n")
    assert Running(second).get(consul(tls=tls), (), object) is not product
    bundle.unlink()
    assert Running(second).get(consul(tls=tls), (), object) is not product


@pytest.mark.parametrize(
    ("config", "does"),
    [
        (consul(), False),
        (MarathonNamerConfig(), False),
        (MarathonNamerConfig(dst=Path.parse("/$/inet/a.test/80")), False),
        (MarathonNamerConfig(dst=Path.parse("/#/io.l5d.fs/marathon")), True),
    ],
)
def test_who_asks_another_namer_is_known(config: Kinded, *, does: bool) -> None:
    assert names_another(config) is does
