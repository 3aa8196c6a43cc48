from importlib.metadata import EntryPoint

import pytest

from meshproxy.config import kinds
from meshproxy.config.model import keys_of

BUILT = [
    pytest.param(category, kind, id=f"{category}-{kind}")
    for category, table in kinds.KINDS.items()
    for kind, target in table.items()
    if target is not None
]


@pytest.mark.parametrize(("category", "kind"), BUILT)
def test_every_built_kind_has_its_class(category: str, kind: str) -> None:
    found = kinds.find(category, kind)
    assert found.kind == kind
    assert found.category == category
    assert found.__doc__
    assert all(spec.doc for spec in keys_of(found))


def test_an_unknown_kind_is_refused_with_a_suggestion() -> None:
    with pytest.raises(kinds.KindError, match=r"'io.l5d.k8' is unknown, did you mean io.l5d.k8s\?"):
        kinds.find("namers", "io.l5d.k8")


def test_a_former_kind_is_refused_with_its_successor() -> None:
    with pytest.raises(kinds.KindError, match=r"since Linkerd 1.0 it is io.l5d.header.token"):
        kinds.find("identifiers", "io.l5d.headerToken")


def test_a_kind_that_linkerd_knows_is_not_supported_yet() -> None:
    with pytest.raises(kinds.UnsupportedKind, match=r"io.l5d.k8s.istio is not supported yet, rem"):
        kinds.find("requestAuthorizers", "io.l5d.k8s.istio")


def test_who_uses_the_thrift_of_namerd_learns_what_else_it_serves() -> None:
    with pytest.raises(kinds.UnsupportedKind, match=r"io\.l5d\.namerd is not supported") as raised:
        kinds.find("interpreters", "io.l5d.namerd")
    for word in ("io.l5d.namerd.http", "io.l5d.mesh", "trustCertsBundle", "root: /NAMESPACE"):
        assert word in str(raised.value)


def test_plugins_add_kinds_and_fill_those_not_built() -> None:
    mine = EntryPoint("io.mine", "meshproxy.config.backoff:ConstantConfig", "meshproxy.backoffs")
    table = kinds.with_plugins("backoffs", [mine])
    assert table["io.mine"] == mine
    assert "constant" in table
    filled = EntryPoint("io.l5d.k8s.istio", "some.module:Istio", "meshproxy.namers")
    assert kinds.with_plugins("namers", [filled])["io.l5d.k8s.istio"] == filled


def test_a_plugin_that_cannot_be_loaded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = EntryPoint("io.mine", "no.such.module:Class", "meshproxy.backoffs")
    monkeypatch.setattr(kinds, "_table", lambda _: {"io.mine": mine})
    with pytest.raises(kinds.KindError, match=r"io\.mine cannot be loaded from no\.such\.module"):
        kinds.find("backoffs", "io.mine")


def test_plugins_cannot_take_a_built_kind() -> None:
    clash = EntryPoint("constant", "some.module:Constant", "meshproxy.backoffs")
    with pytest.raises(kinds.KindError, match="constant is defined twice in backoffs"):
        kinds.with_plugins("backoffs", [clash])
