"""Names that stand elsewhere than in a dtab, and configurations that are fine."""

from pathlib import Path

import pytest

from meshproxy.config.load import read
from meshproxy.lint.warnings import warnings_of

ROOT = Path(__file__).parent.parent.parent
FINE = [
    *(ROOT / "conf").glob("*.yaml"),
    ROOT / "conf/kubernetes/configmap.yaml",
    *(ROOT / "tests/corpus/configs/linkerd").glob("*.yaml"),
]
CONFIG = """\
namers:
- {kind: io.l5d.k8s, transformers: [{kind: io.l5d.replace, path: PATH}]}
- {kind: io.l5d.rewrite, prefix: /turn, pattern: "/{a}", name: "NAME"}
routers:
- protocol: http
  servers: [{port: 0}]
  interpreter: {kind: default, transformers: [{kind: io.l5d.const, path: PATH}]}
  dtab: /srv => /#/turn ; /svc => /srv
- protocol: http
  label: other
  servers: [{port: 0}]
  dtab: /host => /#/turn ; /svc => /host
"""


@pytest.mark.parametrize("file", FINE, ids=lambda file: file.name)
def test_good_files_are_not_warned_of(file: Path) -> None:
    assert warnings_of(read(file.read_text(), str(file)), {"POD_IP": "10.1.2.3"}) == ()


def told(path: str = "/#/io.l5d.k8s/a/b/c", name: str = "/srv/{a}") -> list[str]:
    text = CONFIG.replace("PATH", path).replace("NAME", name)
    return [str(one) for one in warnings_of(read(text, "f"), {})]


def test_a_name_put_in_the_place_of_others_must_be_one_of_a_namer() -> None:
    assert told() == []
    assert told("/$/inet/a/80") == []
    places = ["f:2:60: namers[0].transformers[0]", "f:7:68: routers[0].interpreter.transformers[0]"]
    for path, what in (
        ("/svc/x", "/svc/x leads nowhere, no entry begins so; no dtab is asked here"),
        ("/#/other/x", "/#/other/x never binds, no namer has that prefix, "),
    ):
        for line, place in zip(told(path), places, strict=True):
            assert line.startswith(f"{place}.path: {what}")


def test_a_name_of_a_rewriting_namer_must_lead_somewhere_in_some_router() -> None:
    assert told(name="/host/{a}") == []
    (line,) = told(name="/hst/{a}")
    assert line.startswith("f:3:58: namers[1].name: /hst/* leads nowhere, no entry begins so")


def test_what_another_interpreter_does_is_not_known() -> None:
    text = CONFIG.replace("PATH", "/$/inet/a/80").replace("NAME", "/hst/{a}")
    unread = text.replace(
        "label: other", "interpreter: {kind: io.l5d.fs, dtabFile: /no/such}\n  label: x"
    )
    assert warnings_of(read(unread, "f"), {}) == ()
