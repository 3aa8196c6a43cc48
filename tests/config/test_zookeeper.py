"""Where ZooKeeper is, and that it can be asked."""

import pytest

from meshproxy.config import zookeeper
from meshproxy.config.model import keys_of
from meshproxy.config.zookeeper import CLIENT_MISSING, WholeZkAddrConfig, ZkAddrConfig, problems


def test_the_client_and_a_server_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(problems([ZkAddrConfig(host="zk.test")])) == []
    assert [(one.key, one.what) for one in problems(())] == [
        ("zkAddrs", "names no server, write at least one")
    ]
    monkeypatch.setattr(zookeeper, "find_spec", lambda _: None)
    assert [one.what for one in problems([1])] == [CLIENT_MISSING]


def test_a_port_has_a_default_but_where_it_has_to_be_written() -> None:
    defaults = {spec.name: spec.is_required for spec in keys_of(ZkAddrConfig)}
    whole = {spec.name: spec.is_required for spec in keys_of(WholeZkAddrConfig)}
    assert ZkAddrConfig(host="zk.test").port == 2181
    assert (defaults["port"], whole["port"]) == (False, True)
