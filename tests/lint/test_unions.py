"""Unions behind transformers that take addresses away."""

import pytest

from meshproxy.config.load import read
from meshproxy.lint.warnings import warnings_of

CONFIG = """\
namers:
- {kind: io.l5d.k8s, prefix: /local, transformers: [{kind: KIND}]}
- {kind: io.l5d.k8s}
routers:
- protocol: http
  servers: [{port: 0}]
  interpreter: {kind: default, transformers: [OF_ALL]}
  dtab: |
    /srv => /#/local/default/http ;
    /svc => DST ;
"""


def told(dst: str, of_all: str = "", kind: str = "io.l5d.localhost") -> list[str]:
    text = CONFIG.replace("DST", dst).replace("OF_ALL", of_all).replace("KIND", kind)
    found = warnings_of(read(text, "f"), {"POD_IP": "10.1.2.3"})
    return [str(one) for one in found if "502" in one.what]


@pytest.mark.parametrize(
    "dst",
    [
        "/srv/a & /#/io.l5d.k8s/x/y/b",
        "9*/#/io.l5d.k8s/x/y/b & /#/local/x/y/b",
        "/#/io.l5d.k8s/x/y/b | (0*/srv/a & 0*/#/io.l5d.k8s/x/y/z)",
    ],
)
def test_a_union_whose_members_may_lose_their_addresses_is_told(dst: str) -> None:
    (line,) = told(dst)
    assert line.startswith("f:10:5: routers[0].dtab: io.l5d.localhost may leave a part of ")
    assert told(dst, kind="io.l5d.k8s.localnode") != []
    assert told(dst, kind="io.l5d.port, port: 80") == []


@pytest.mark.parametrize(
    "dst",
    [
        "/#/io.l5d.k8s/x/y/a & /#/io.l5d.k8s/x/y/b",
        "/srv/a | /srv/b",
        "1*/#/io.l5d.k8s/x/y/a & 0*/srv/b",
        "0*/#/io.l5d.k8s/x/y/a & 1*/srv/b",
        "2*/srv/b",
    ],
)
def test_others_are_not(dst: str) -> None:
    assert told(dst) == []


def test_a_transformer_of_the_interpreter_is_of_all_names() -> None:
    (line,) = told("/$/inet/a/80 & /$/inet/b/80", "{kind: io.l5d.specificHost, host: 10.0.0.1}")
    assert "io.l5d.specificHost may leave a part of /$/inet/a/80 & /$/inet/b/80 without" in line
    assert told("/$/inet/a/80", "{kind: io.l5d.localhost}") == []
