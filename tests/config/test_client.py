import pytest

from meshproxy.config.client import ClientConfig
from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.naming.path import Path


def read(text: str) -> tuple[ClientConfig | None, list[str]]:
    findings = Findings("f")
    config = decode(ClientConfig, parse(text, findings), findings)
    return config, [str(error) for error in findings.found]


def test_without_a_kind_the_settings_are_for_every_name() -> None:
    config, errors = read("loadBalancer: {kind: ewma, decayTimeMs: 5}\nconnectTimeoutMs: 7")
    assert errors == []
    assert config is not None
    ((matcher, settings),) = config.rules
    assert matcher.match(Path.parse("/#/io.l5d.fs/web")) == {}
    assert settings.load_balancer is not None
    assert settings.load_balancer.kind == "ewma"
    assert settings.connect_timeout_ms == 7


def test_unset_is_not_the_default() -> None:
    config, _ = read("kind: io.l5d.static\nconfigs: [{prefix: /}]")
    assert config is not None
    ((_, settings),) = config.rules
    assert settings.tls is None
    assert settings.fail_fast is None
    assert settings.load_balancer is None


@pytest.mark.parametrize(
    ("prefix", "matched"),
    [
        ("/$/io.buoyant.rinet/443/H.Test", {}),
        ("/$/io.buoyant.rinet/443/{Name}.Test", {"Name": "h"}),
        ("/*/io.buoyant.rinet/*/{Name}", {"Name": "h.test"}),
        ("/$/io.buoyant.rinet/443/Other", None),
        ("/$/Io.Buoyant.Rinet/443", None),
    ],
)
def test_a_prefix_spells_hosts_in_any_case(prefix: str, matched: dict[str, str] | None) -> None:
    config, _ = read(f"kind: io.l5d.static\nconfigs: [{{prefix: '{prefix}'}}]")
    assert config is not None
    assert config.rules[0][0].match(Path.parse("/$/io.buoyant.rinet/443/h.test")) == matched


def test_the_case_of_other_names_matters() -> None:
    config, _ = read("kind: io.l5d.static\nconfigs: [{prefix: /#/io.l5d.fs/Web}]")
    assert config is not None
    assert config.rules[0][0].match(Path.parse("/#/io.l5d.fs/web")) is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("requestAuthorizers: []", "requestAuthorizers: not supported yet, remove it"),
    ],
)
def test_what_is_not_built_is_refused_by_name(text: str, error: str) -> None:
    assert read(text) == (None, [f"f:1:1: {error}"])


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False)])
def test_fail_fast_may_be_on_or_off(text: str, *, value: bool) -> None:
    config, errors = read(f"failFast: {text}")
    assert config is not None
    assert errors == []
    assert config.rules[0][1].fail_fast is value


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ("kind: heap", None),
        ("kind: heap, enableProbation: true", None),
        ("kind: heap, maxEffort: 3", "maxEffort: unknown key, known here: enableProbation, kind"),
        ("kind: roundRobin, maxEffort: 3", None),
        ("kind: roundRobin, maxEffort: -1", "maxEffort: -1 is too small, at least 0"),
        ("kind: aperture, lowLoad: '0.1', highLoad: 4", None),
        ("kind: ewma, decayTimeMs: 0", "decayTimeMs: 0 is too small, at least 1"),
        ("kind: round_robin", "kind: 'round_robin' is unknown, did you mean roundRobin?"),
    ],
)
def test_each_kind_of_balancer_has_its_keys(keys: str, error: str | None) -> None:
    config, errors = read(f"loadBalancer: {{{keys}}}")
    assert (config is None) == bool(error)
    assert [text.partition("loadBalancer.")[2] for text in errors] == ([error] if error else [])


def test_a_variable_that_the_prefix_does_not_capture_is_a_warning() -> None:
    config, errors = read(
        'kind: io.l5d.static\nconfigs:\n- prefix: "/$/x/{a}"\n  tls: {commonName: "{a}.{b}"}\n'
    )
    assert config is not None
    what = "{b} is not captured by the prefix and stays as written"
    assert errors == [f"f:4:9: configs[0].tls.commonName: {what}"]
    assert len(read('tls: {commonName: "{a}"}')[1]) == 1


@pytest.mark.parametrize("word", ["configs", "prefix"])
def test_keys_of_the_static_kind_say_which_kind_they_need(word: str) -> None:
    (error,) = read(f"{word}: /")[1]
    assert error.startswith(f"f:1:1: {word}: unknown key, it needs `kind: io.l5d.static`")
