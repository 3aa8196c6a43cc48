from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.svc import SvcConfig
from meshproxy.naming.path import Path


def read(text: str) -> tuple[SvcConfig | None, list[str]]:
    findings = Findings("f")
    config = decode(SvcConfig, parse(text, findings), findings)
    return config, [str(error) for error in findings.found]


def test_without_a_kind_the_settings_are_for_every_name() -> None:
    config, errors = read("totalTimeoutMs: 500\nretryBufferKB: 8")
    assert errors == []
    assert config is not None
    ((matcher, settings),) = config.rules
    assert matcher.match(Path.parse("/svc/any")) == {}
    assert (settings.total_timeout_ms, settings.retry_buffer_kb) == (500, 8)
    assert settings.retries is None


def test_static_settings_are_for_a_prefix_each() -> None:
    config, errors = read(
        "kind: io.l5d.static\nconfigs:\n- prefix: /svc/{x}\n  totalTimeoutMs: 1\n"
        "- prefix: /svc/web\n  responseClassifier: {kind: io.l5d.http.retryableRead5XX}\n"
    )
    assert errors == []
    assert config is not None
    assert [matcher.text for matcher, _ in config.rules] == ["/svc/{x}", "/svc/web"]
    assert [settings.total_timeout_ms for _, settings in config.rules] == [1, None]


def test_static_items_need_a_prefix() -> None:
    _, errors = read("kind: io.l5d.static\nconfigs:\n- totalTimeoutMs: 1\n")
    assert errors == ["f:3:3: configs[0].prefix: is missing, it must be written"]


def test_a_mistaken_kind_is_refused() -> None:
    _, errors = read("kind: io.l5d.statik\nconfigs: []")
    assert errors == ["f:1:1: kind: 'io.l5d.statik' is unknown, did you mean io.l5d.static?"]


def test_configs_without_the_kind_say_which_kind_they_need() -> None:
    _, errors = read("configs: []")
    assert errors == ["f:1:1: configs: unknown key, it needs `kind: io.l5d.static`"]
