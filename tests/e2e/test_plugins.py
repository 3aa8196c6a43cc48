"""Kinds of other distributions are checked, served and reloaded like ours."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.test_command import COMMAND, Serving
from tests.kit.downstream import Downstream
from tests.kit.wire import WireClient, get

LINES = '''
"""Routers that answer each line with the name it is bound to, the word being its name."""

from dataclasses import dataclass
from typing import ClassVar

from meshproxy.config.routers import RouterConfig
from meshproxy.naming.dtab import Dtab
from meshproxy.server.listener import ServerParameters
from meshproxy.var import wait


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesConfig(RouterConfig):
    """Answers lines."""

    kind: ClassVar[str] = "lines"

    def build(self, deps):
        return LinesRouter(self, deps)


class Conversation:
    ending = ""
    is_draining = False

    def __init__(self, stream, answer):
        self._stream, self._answer = stream, answer

    def run(self):
        while word := self._stream.receive(float("inf")).strip():
            self._stream.send(self._answer(word) + b"\\n", 10.0)
        self._stream.close()

    def end_idle(self):
        self._stream.expire()
        return True


class LinesRouter:
    access_log = None
    identify = None

    def __init__(self, config, deps):
        self.config = config
        self._interpreter = deps.interpreter
        self.servers = [
            ServerParameters(protocol=self, max_connections=9, metrics=deps.metrics)
            for _ in config.servers
        ]

    def accept(self, stream, remote, local):
        return Conversation(stream, self._answer)

    def refuse(self, stream, error):
        stream.close()

    def adopt(self, conversation):
        return isinstance(conversation, Conversation)

    def _answer(self, word):
        tree = wait(self._interpreter.bind(self.config.dtab, self.config.dst_prefix + (word,)), 5)
        return tree.value.value.id.show().encode()

    def explain_limits(self):
        return []

    def sweep(self):
        pass

    def close(self, successor=None):
        pass
'''
CONFIG = """
admin: {port: 0}
routers:
- protocol: lines
  dtab: /svc => /$/inet/127.0.0.1
  servers: [{port: 0}]
"""


DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.md"
EXAMPLES = dict(re.findall(r"```python\n# (\w+)\.py\n(.*?)```", DOCUMENT.read_text(), re.DOTALL))
KINDS = {
    "namers": {"com.example.hosts": "example_hosts:HostsConfig"},
    "identifiers": {"com.example.tenant": "example_tenant:TenantConfig"},
    "telemeters": {
        "com.example.busy": "example_busy:BusyConfig",
        "com.example.keys": "example_key:KeysConfig",
    },
}
EXTENDED = """
admin: {{port: 0}}
namers:
- kind: com.example.hosts
  hosts: ["web=127.0.0.1:{port}"]
telemetry:
- kind: com.example.busy
- kind: com.example.keys
  keys: [sesame]
routers:
- protocol: http
  identifier: {{kind: com.example.tenant}}
  dtab: /svc/acme => /#/com.example.hosts
  servers: [{{port: 0}}]
"""
OTHERS = '''
"""One more of each category, as small as can be, and some that are wrong."""

from dataclasses import dataclass
from typing import ClassVar

from meshproxy.accrual.policies import NoneConfig
from meshproxy.balancers.p2c import P2cConfig
from meshproxy.classifiers.status import RetryableAll5XXConfig
from meshproxy.config import bases
from meshproxy.config.backoff import ConstantConfig
from meshproxy.filters.forwarded import StaticLabelerConfig
from meshproxy.interpreters.default import DefaultInterpreterConfig
from meshproxy.naming.path import Path
from meshproxy.transformers.port import PortConfig


def named(base):
    return dataclass(frozen=True, slots=True, kw_only=True)(
        type(base.__name__, (base,), {"kind": "mine", "__doc__": "Mine.", "__module__": __name__})
    )


Accrual, Balancer, Classifier, Backoff = map(
    named, (NoneConfig, P2cConfig, RetryableAll5XXConfig, ConstantConfig)
)
Labeler, Interpreter, Transformer = map(
    named, (StaticLabelerConfig, DefaultInterpreterConfig, PortConfig)
)


class Mine:
    fields = frozenset()

    def read(self, headers):
        return None

    def write(self, headers, trace):
        headers.set("X-Trace", "mine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagator(bases.TracePropagatorConfig):
    kind: ClassVar[str] = "mine"

    def build(self):
        return Mine()


class Raising(bases.NamerConfig):
    kind = "raising"
    default_prefix = Path.of("raising")

    def build(self, deps):
        raise KeyError("boom")


class Bare(Raising):
    kind = "bare"

    def build(self, deps):
        return object()


class Nameless(bases.NamerConfig):
    kind = "nameless"


class Unchecked(Raising):
    kind = "unchecked"

    def check(self):
        raise RuntimeError("cannot look")


class Mute(bases.ClassifierConfig):
    kind = "mute"

    def build(self):
        return object()
'''
ALL_MINE = """
admin: {{port: 0}}
routers:
- protocol: http
  dtab: /svc/web => /$/inet/127.0.0.1/1
  tracePropagator: {{kind: mine}}
  interpreter:
    kind: mine
    transformers: [{{kind: mine, port: {port}}}]
  service:
    responseClassifier: {{kind: mine}}
    retries: {{backoff: {{kind: mine, ms: 1}}}}
  client:
    loadBalancer: {{kind: mine}}
    failureAccrual: {{kind: mine}}
  servers:
  - port: 0
    addForwardedHeader: {{by: {{kind: mine, label: me}}}}
"""
MINE = {
    "accrual": {"mine": "others:Accrual"},
    "balancers": {"mine": "others:Balancer"},
    "classifiers": {"mine": "others:Classifier", "mute": "others:Mute"},
    "backoffs": {"mine": "others:Backoff"},
    "labelers": {"mine": "others:Labeler"},
    "interpreters": {"mine": "others:Interpreter"},
    "transformers": {"mine": "others:Transformer"},
    "tracePropagators": {"mine": "others:Propagator"},
    "namers": {
        "raising": "others:Raising",
        "bare": "others:Bare",
        "nameless": "others:Nameless",
        "unchecked": "others:Unchecked",
        "wrong": "others:Classifier",
        "absent": "nowhere:Namer",
    },
}


class Distribution:
    """A directory of modules and entry points that child processes find."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def install(
        self, name: str, modules: Mapping[str, str], kinds: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Write what an installer would for a distribution of *modules* with these *kinds*."""
        for module, text in modules.items():
            (self._directory / f"{module}.py").write_text(text)
        facts = self._directory / f"{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [
            line
            for category, table in kinds.items()
            for line in (
                f"[meshproxy.{category}]",
                *(f"{kind} = {target}" for kind, target in table.items()),
            )
        ]
        (facts / "entry_points.txt").write_text("\n".join([*lines, ""]))


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Distribution:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Distribution(tmp_path)


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(lambda request: (request.get("x-trace") or "served").encode()) as server:
        yield server


def checked(file: Path, text: str) -> "subprocess.CompletedProcess[str]":
    """Let `meshproxy check` judge *text*."""
    file.write_text(text)
    command = [*COMMAND, "check", str(file)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_protocol_is_served_and_reloaded(distribution: Distribution, tmp_path: Path) -> None:
    distribution.install("lines", {"lines": LINES}, {"protocols": {"lines": "lines:LinesConfig"}})
    serving = Serving(CONFIG, tmp_path)
    with serving.daemon, WireClient(serving.port) as client:
        client.send(b"80\n")
        assert client.sock.recv(100) == b"/$/inet/127.0.0.1/80\n"
        serving.reload(CONFIG.replace("127.0.0.1", "127.0.0.2"))
        client.send(b"81\n")
        assert client.sock.recv(100) == b"/$/inet/127.0.0.1/81\n"
        with WireClient(serving.port) as another:
            another.send(b"82\n")
            assert another.sock.recv(100) == b"/$/inet/127.0.0.2/82\n"


def test_the_keys_of_a_protocol_are_checked(distribution: Distribution, tmp_path: Path) -> None:
    distribution.install("lines", {"lines": LINES}, {"protocols": {"lines": "lines:LinesConfig"}})
    done = checked(tmp_path / "wrong.yaml", CONFIG.replace("[{port: 0}]", "[{prot: 0}]"))
    assert done.returncode == 1
    assert "routers[0].servers[0].prot: unknown key, did you mean port?" in done.stderr


def test_the_examples_of_the_document_do_what_it_says(
    distribution: Distribution, tmp_path: Path, origin: Downstream
) -> None:
    assert all(len(text.splitlines()) <= 40 for text in EXAMPLES.values())
    distribution.install("examples", EXAMPLES, KINDS)
    serving = Serving(EXTENDED.format(port=origin.port), tmp_path)
    with serving.daemon:
        tenant, key = "X-Tenant: acme", "x-key: sesame"
        assert get(serving.port, "web", "/", tenant, key).body == b"served"
        assert get(serving.port, "web", "/", tenant).status == 403
        assert get(serving.port, "other", "/", tenant, key).status == 502
        refused = get(serving.port, "web", "/", key)
        assert (refused.status, b"no X-Tenant header" in refused.body) == (400, True)
        page = get(serving.admin_port, "localhost", "/busy").body
        assert page == b"rt/http/server/127.0.0.1/0/pending 0\n"
        assert serving.metrics()["keys/refused"] == 1


def test_an_example_tells_what_is_wrong_with_its_keys(
    distribution: Distribution, tmp_path: Path
) -> None:
    distribution.install("examples", EXAMPLES, KINDS)
    done = checked(tmp_path / "wrong.yaml", EXTENDED.format(port=1).replace("web=", "web "))
    assert done.returncode == 1
    assert "wrong.yaml:5:3: namers[0].hosts: 'web 127.0.0.1:1' has no '='" in done.stderr


def test_one_of_each_other_category_is_used(
    distribution: Distribution, tmp_path: Path, origin: Downstream
) -> None:
    distribution.install("others", {"others": OTHERS}, MINE)
    serving = Serving(ALL_MINE.format(port=origin.port), tmp_path)
    with serving.daemon:
        assert get(serving.port, "web").body == b"mine"


@pytest.mark.parametrize(
    ("namer", "why"),
    [
        ("raising", "namers[0]: raising cannot be built: KeyError: 'boom'"),
        ("bare", "namers[0]: bare builds a object without prefix, lookup"),
        ("nameless", "namers[0]: Nameless fails: AttributeError: "),
        ("unchecked", "namers[0]: Unchecked fails: RuntimeError: cannot look"),
        ("wrong", "namers[0].kind: wrong is defined as <class 'others.RetryableAll5XXConfig'>, "),
        ("absent", "namers[0].kind: absent cannot be loaded from nowhere:Namer: "),
    ],
)
def test_a_wrong_plugin_is_an_error_with_its_place_and_name(
    distribution: Distribution, tmp_path: Path, namer: str, why: str
) -> None:
    distribution.install("others", {"others": OTHERS}, MINE)
    text = CONFIG.replace("lines", "http").replace(
        "routers:", f"namers: [{{kind: {namer}}}]\nrouters:"
    )
    done = checked(tmp_path / "wrong.yaml", text)
    assert (done.returncode, why in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr


def test_what_would_fail_with_the_first_request_fails_at_once(
    distribution: Distribution, tmp_path: Path
) -> None:
    distribution.install("others", {"others": OTHERS}, MINE)
    text = ALL_MINE.format(port=1).replace("Classifier: {kind: mine}", "Classifier: {kind: mute}")
    done = checked(tmp_path / "wrong.yaml", text)
    assert done.returncode == 1
    assert "responseClassifier: mute builds a object without response, error" in done.stderr
