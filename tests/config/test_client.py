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
    ("text", "error"),
    [
        ("failFast: true", "failFast: true is not supported yet, write false or remove it"),
        ("requestAuthorizers: []", "requestAuthorizers: not supported yet, remove it"),
    ],
)
def test_what_is_not_built_is_refused_by_name(text: str, error: str) -> None:
    assert read(text) == (None, [f"f:1:1: {error}"])


def test_what_is_off_anyway_may_be_written() -> None:
    assert read("failFast: false")[1] == []


def test_a_variable_that_the_prefix_does_not_capture_is_a_warning() -> None:
    config, errors = read(
        'kind: io.l5d.static\nconfigs:\n- prefix: "/$/x/{a}"\n  tls: {commonName: "{a}.{b}"}\n'
    )
    assert config is not None
    what = "{b} is not captured by the prefix and stays as it is written"
    assert errors == [f"f:4:9: configs[0].tls.commonName: {what}"]
    assert len(read('tls: {commonName: "{a}"}')[1]) == 1


@pytest.mark.parametrize("word", ["configs", "prefix"])
def test_keys_of_the_static_kind_say_which_kind_they_need(word: str) -> None:
    (error,) = read(f"{word}: /")[1]
    assert error.startswith(f"f:1:1: {word}: unknown key, it needs `kind: io.l5d.static`")
