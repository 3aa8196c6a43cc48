"""What a class of configuration accepts, and how it says what it does not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from meshproxy.config.backoff import ConstantConfig, JitteredConfig
from meshproxy.config.bases import BackoffConfig, RequestAuthorizerConfig
from meshproxy.config.decode import (
    Config,
    Kinded,
    Port,
    Problem,
    RegularFile,
    Severity,
    decode,
    default_of,
    key,
)
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.kinds import KindError


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner(Config):
    former: ClassVar = {"oldName": "it is name since 1.0"}
    name: str = key()
    file: RegularFile | None = key(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer(Config):
    port: Port = key(default=Port(80))
    ratio: float | None = key(default=None, minimum=0, maximum=1, quoted=True)
    color: Literal["red", "green"] = key(default="red")
    inner: Inner | None = key(default=None)
    items: tuple[Inner, ...] = key(default=())
    words: tuple[str, ...] | None = key(default=None)
    ports: Mapping[str, Port] | None = key(default=None, minimum=1)
    backoff: BackoffConfig | None = key(default=None)
    backoffs: tuple[BackoffConfig, ...] = key(default=(), one_or_many=True)
    later: Inner | None = key(default=None, unsupported=True)
    authorizers: tuple[RequestAuthorizerConfig, ...] = key(default=(), unsupported=True)
    off_only: bool = key(default=False, only=(False,))

    def check(self) -> Iterable[Problem]:
        if self.ratio == 1:
            yield Problem("is all of it, leave some", "ratio")
        if self.port == 81:
            yield Problem("is odd", "port", Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bold(Kinded):
    category: ClassVar[str] = "bold"
    kind: ClassVar[str] = "bold"
    requires_experimental: ClassVar[bool] = True
    experimental: bool | None = key(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain(Kinded):
    category: ClassVar[str] = "plain"
    kind: ClassVar[str] = "plain"
    experimental: bool | None = key(default=None)


class Other(Kinded):
    category: ClassVar[str] = "backoffs"


def read(text: str, cls: type[Config] = Outer) -> tuple[Config | None, list[str]]:
    findings = Findings("f")
    value = decode(cls, parse(text, findings), findings)
    return value, [str(error) for error in findings.found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", Outer()),
        ("port:\nwords: ~\ninner: ''", Outer()),
        ("port: 8080", Outer(port=Port(8080))),
        ("ratio: '0.5'", Outer(ratio=0.5)),
        ("color: green", Outer(color="green")),
        ("inner: {name: x}", Outer(inner=Inner(name="x"))),
        ("items: [{name: x}, {name: 5}]", Outer(items=(Inner(name="x"), Inner(name="5")))),
        ("words: []", Outer(words=())),
        ("ports: {a: 80, 'b c': 81}", Outer(ports={"a": Port(80), "b c": Port(81)})),
        ("ports: {}", Outer(ports={})),
        ("backoff: {kind: constant, ms: 5}", Outer(backoff=ConstantConfig(ms=5))),
        (
            "backoffs: {kind: jittered, minMs: 1, maxMs: 2}",
            Outer(backoffs=(JitteredConfig(min_ms=1, max_ms=2),)),
        ),
        ("offOnly: false", Outer()),
        ("later:\n", Outer()),
    ],
)
def test_a_mapping_becomes_an_object(text: str, expected: Config) -> None:
    text = "{\n}" if text == "{}" else text
    assert read(text) == (expected, [])


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("[1]", ["f:1:1: expected a mapping, found a list"]),
        ("port: {a: 1}", ["f:1:7: port: expected a single value, found a mapping"]),
        ("ratio: 1.5", ["f:1:8: ratio: 1.5 is too large, at most 1"]),
        ("ratio: -0.5", ["f:1:8: ratio: -0.5 is too small, at least 0"]),
        ("color: greet", ["f:1:8: color: 'greet' is not known, did you mean green?"]),
        ("inner: 5", ["f:1:8: inner: expected a mapping, found 5"]),
        ("inner: {file: ~}", ["f:1:8: inner.name: is missing, it must be written"]),
        ("inner: {name: ''}", ["f:1:8: inner.name: is missing, it must be written"]),
        ("items: {name: x}", ["f:1:8: items: expected a list, found a mapping"]),
        ("items:\n-\n", ["f:2:2: items[0]: expected a mapping, found nothing"]),
        ("words: [a, ~]", ["f:1:12: words[1]: expected a single value, found nothing"]),
        ("words: a", ["f:1:8: words: expected a list, found the text 'a'"]),
        ("ports: 80", ["f:1:8: ports: expected a mapping, found 80"]),
        ("ports: {a: 0, b: x}",
         ["f:1:12: ports.a: 0 is too small, at least 1",
          "f:1:18: ports.b: expected an integer, found the text 'x'"]),
        ("inner: {name: x, nam: y}", ["f:1:18: inner.nam: unknown key, did you mean name?"]),
        ("inner: {name: x, oldName: y}",
         ["f:1:18: inner.oldName: unknown key, it is name since 1.0"]),
        ("backoff: {ms: 5}",
         ["f:1:10: backoff.kind: is missing, write one of: constant, jittered"]),
        ("backoff: {knd: constant}",
         ["f:1:11: backoff.knd: unknown key, did you mean kind?"]),
        ("backoff: {kind: constnt}",
         ["f:1:11: backoff.kind: 'constnt' is unknown, did you mean constant?"]),
        ("backoff: {kind: [constant]}",
         ["f:1:11: backoff.kind: expected a single value, found a list"]),
        ("backoff: {kind: constant, minMs: 5}",
         ["f:1:27: backoff.minMs: unknown key, known here: kind, ms"]),
        ("later: {name: x}", ["f:1:1: later: not supported yet, remove it"]),
        ("later: {nam: x}",
         ["f:1:1: later: not supported yet, remove it",
          "f:1:9: later.nam: unknown key, did you mean name?",
          "f:1:8: later.name: is missing, it must be written"]),
        ("later: {name: x, file: /does/not/exist}",
         ["f:1:1: later: not supported yet, remove it"]),
        ("authorizers: [{kind: io.l5d.k8s.istio, any: 1}]",
         ["f:1:1: authorizers: not supported yet, remove it"]),
        ("offOnly: true",
         ["f:1:1: offOnly: true is not supported yet, write false or remove it"]),
        ("ratio: 1", ["f:1:1: ratio: is all of it, leave some"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(text: str, errors: list[str]) -> None:
    assert read(text) == (None, errors)


def test_everything_wrong_is_said_at_once() -> None:
    value, errors = read("port: x\nprot: 1\nitems:\n- {name: [a]}\n- {nam: b}\n")
    assert value is None
    assert [error.split(": ")[1] for error in errors] == [
        "prot",
        "port",
        "items[0].name",
        "items[1].nam",
        "items[1].name",
    ]


def test_a_file_that_does_not_exist_is_only_missing() -> None:
    findings = Findings("f")
    text = "inner: {name: x, file: /does/not/exist}"
    assert decode(Outer, parse(text, findings), findings) is not None
    (missing,) = findings.of(Severity.MISSING)
    assert missing.path == "inner.file"


def test_a_warning_does_not_refuse() -> None:
    assert read("port: 81") == (Outer(port=Port(81)), ["f:1:1: port: is odd"])


def test_an_experimental_kind_wants_consent() -> None:
    what = "is experimental, write `experimental: true` to use it"
    assert read("kind: bold", Bold) == (None, [f"f:1:1: {what}"])
    assert read("kind: bold\nexperimental: false", Bold) == (None, [f"f:1:1: {what}"])
    assert read("kind: bold\nexperimental: true", Bold) == (Bold(experimental=True), [])


def test_consent_that_nobody_asks_for_is_a_warning() -> None:
    value, errors = read("kind: plain\nexperimental: true", Plain)
    assert value == Plain(experimental=True)
    assert errors == ["f:2:1: experimental: is not needed here"]


def test_a_kind_with_nothing_written() -> None:
    assert default_of(BackoffConfig, "constant") == ConstantConfig()
    with pytest.raises(KindError, match="ConstantConfig'>, which is not a Other"):
        default_of(Other, "constant")
