"""Prefixes of clients that are those of no bound name, and those that are."""

import pytest

from meshproxy.config.load import read
from meshproxy.lint.clients import check_clients, ids_of

DAEMONSET = "{kind: io.l5d.k8s.daemonset, namespace: n, service: s, port: p}"
CONFIG = """\
namers:
- kind: io.l5d.k8s
  prefix: /ds
  transformers: [DAEMONSET, {kind: io.l5d.port, port: 1}]
- {kind: io.l5d.k8s}
- {kind: io.l5d.rewrite, prefix: /turn, pattern: "/{a}", name: "/srv/{a}"}
routers:
- protocol: http
  servers: [{port: 0}]
  dtab: /svc => /#/ds/default/http
  interpreter: {kind: default, transformers: [TRANSFORMERS]}
  client:
    kind: io.l5d.static
    configs:
CONFIGS
""".replace("DAEMONSET", DAEMONSET)
FULL = "/%/io.l5d.port/1/%/io.l5d.k8s.daemonset/n/p/s/#/ds"
TLS = "tls: {commonName: x}"
POD = {"POD_IP": "10.1.2.3"}


def told(*configs: str, transformers: str = "", environ: dict[str, str] = POD) -> dict[int, str]:
    """Say what is warned of, by the number of the item."""
    items = "\n".join(f"    - {{{one}}}" for one in configs)
    text = CONFIG.replace("CONFIGS", items).replace("TRANSFORMERS", transformers)
    found = check_clients(read(text, "f").config, 0, environ)
    return {int((one.key or "").split("[")[2].split("]")[0]): one.what for one in found}


def test_ids_are_those_that_namers_and_transformers_make() -> None:
    text = CONFIG.replace("CONFIGS", "    - {prefix: /}").replace("TRANSFORMERS", "")
    found = [one.ids.show() for one in ids_of(read(text, "f").config, 0, {})]
    assert {"/$/inet/...", "/$/fixedinet/...", "/$/io.buoyant.rinet/..."} <= set(found)
    assert found[-2:] == [f"{FULL}/...", "/#/io.l5d.k8s/..."]


@pytest.mark.parametrize(
    "prefix",
    ["/", "/*", "/#/io.l5d.k8s/a/{b}", FULL, f"{FULL}/default/*/{{x}}", "/%/*", "/$/inet", "/#/*",
     "/$/io.buoyant.rinet/443/{x}", "/$/{any}/443"],
)  # fmt: skip
def test_the_prefix_of_a_bound_name_is_fine(prefix: str) -> None:
    assert told(f'prefix: "{prefix}"') == {}


@pytest.mark.parametrize(
    "prefix", ["/#/turn/x", "/#/other", "/svc/x", "/$/nil", "/%/io.l5d.port/2"]
)
def test_another_prefix_is_told(prefix: str) -> None:
    (what,) = told(f'prefix: "{prefix}"').values()
    assert what.startswith("no bound name begins so, they are: /$/fixedinet/..., /$/inet/...")
    assert "in clear" not in what


def test_tls_for_the_names_of_a_namer_with_transformers() -> None:
    plain = 'prefix: "/#/ds/default/http/{x}"'
    assert told(plain, f"{plain}, {TLS}") == {
        0: f"/#/ds/default/http/{{x}} is the prefix of none of /#/ds/...: a transformer makes them "
        f"{FULL}/...",
        1: f"/#/ds/default/http/{{x}} is the prefix of none of /#/ds/...: a transformer makes them "
        f"{FULL}/..., so requests for them go out in clear",
    }


def test_tls_for_some_of_the_names_alone() -> None:
    some = f'prefix: "/#/*/default/http/{{x}}", {TLS}'
    ((at, what),) = told(some).items()
    assert (at, "none of /#/ds/..." in what) == (0, True)
    assert told('prefix: "/#/*/default/http/{x}"') == {}
    assert told(some, f'prefix: "{FULL}/default/http/{{x}}", {TLS}') == {}


def test_tls_behind_the_transformers_of_an_interpreter() -> None:
    external = f'prefix: "/$/io.buoyant.rinet/443/{{x}}", {TLS}'
    local = "{kind: io.l5d.k8s.localnode}"
    (what,) = told(external, transformers=local).values()
    assert "makes them /%/io.l5d.k8s.localnode/10.1.2.3/$/io.buoyant.rinet/..., so req" in what
    (what,) = told(external, transformers=local, environ={}).values()
    assert "makes them /%/..., so requests" in what
    full = f'prefix: "/%/io.l5d.k8s.localnode/*/$/io.buoyant.rinet/443/{{x}}", {TLS}'
    assert told(full, transformers=local) == {}


def test_names_that_are_replaced_have_ids_of_their_own() -> None:
    other = "{kind: io.l5d.const, path: /$/inet/a/80}"
    assert told('prefix: "/%/io.l5d.const/$/inet/a/80/#/x"', transformers=other) == {}
    assert told(f'prefix: "/#/ds", {TLS}', transformers=other).keys() == {0}
