"""When traffic is wanted: after first answers or fallbacks, and not at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshproxy.config.load import load
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG
from meshproxy.naming.path import Path as Name
from meshproxy.runtime.readiness import Readiness
from meshproxy.var import PENDING, Failed, Ok, Var
from tests.kit.k8s import KubeApi, wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- {{kind: io.l5d.k8s, port: {port}{more}}}
routers:
- protocol: http
  dtab: /svc => {dst}
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""


class Answering:
    """A namer whose one answer is set by the test."""

    prefix = Name.parse("/#/named")

    def __init__(self, answer: Lookup) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def lookup(self, path: Name) -> Lookup:
        self.asked.append(path.show())
        return self.answer


def watched(answer: Lookup, dtab: str) -> tuple[Readiness, Answering]:
    readiness, namer = Readiness(), Answering(answer)
    readiness.watch([namer], [Dtab.parse(dtab)])
    return readiness, namer


@pytest.mark.parametrize(
    ("dtab", "asked"),
    [
        ("/svc => /#/named/default/http", ["/default/http"]),
        ("/svc => /#/named/a | /x & 2 * /#/named/b", ["/a", "/b"]),
        ("/svc => /#/named/a ; /host => /#/named/a", ["/a"]),
        ("/svc => /#/named", []),
        ("/svc => /#/other/default/http ; /srv => /$/inet/a/1", []),
    ],
)
def test_a_namer_is_asked_early_for_what_a_dtab_says_of_it(dtab: str, asked: list[str]) -> None:
    readiness, namer = watched(NEG, dtab)
    assert [path.removesuffix("/readiness" * 4) for path in namer.asked] == asked
    assert readiness.why_not() is None


@pytest.mark.parametrize("answer", [Ok(NEG), Failed(ValueError("no"))])
def test_it_is_ready_with_the_first_answer_whatever_that_is(answer: Ok[object] | Failed) -> None:
    said: Var[object] = Var(PENDING)
    readiness, _ = watched(said, "/svc => /#/named/default/http")  # type: ignore[arg-type]
    assert readiness.why_not() == "waiting for the first answer of /#/named/default/http"
    said.set(answer)
    assert readiness.why_not() is None


def test_ready_once_is_ready_until_the_end() -> None:
    said: Var[object] = Var(Ok(NEG))
    readiness, _ = watched(said, "/svc => /#/named/default/http")  # type: ignore[arg-type]
    assert readiness.why_not() is None
    said.set(PENDING)
    readiness.watch([Answering(Var(PENDING))], [Dtab.parse("/svc => /#/named/x")])
    assert readiness.why_not() is None
    readiness.is_ending = True
    assert readiness.why_not() == "ending"


def test_what_is_no_longer_asked_for_is_let_go() -> None:
    first: Var[object] = Var(PENDING)
    readiness, _ = watched(first, "/svc => /#/named/x")  # type: ignore[arg-type]
    readiness.watch([Answering(NEG)], [Dtab.parse("/svc => /#/named/x")])
    assert first._observers == {}
    assert readiness.why_not() is None
    readiness.close()


# --- with a Kubernetes API ---


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as double:
        double.publish("hello", "10.0.0.1")
        yield double


def status(proxy: Proxy) -> tuple[int, bytes]:
    reply = get(proxy.linker.admin_port, "localhost", "/ready")
    return reply.status, reply.body


def config(api: KubeApi, dst: str = "/#/io.l5d.k8s/default/http", more: str = "") -> str:
    return CONFIG.format(port=api.port, dst=dst, more=more)


def test_it_waits_for_the_api(api: KubeApi) -> None:
    api.stall()
    with Proxy(config(api)) as proxy:
        assert status(proxy) == (
            503,
            b"waiting for the first answer of /#/io.l5d.k8s/default/http\n",
        )
        assert get(proxy.linker.admin_port, "localhost", "/live").status == 200
        api.resume()
        wait_until(lambda: status(proxy) == (200, b"ready\n"))
        assert proxy.metrics()["namer/#/io.l5d.k8s/watches"] == 1


def test_the_fallback_is_an_answer(api: KubeApi) -> None:
    api.stall()
    with Proxy(config(api, more=", fallbackAfterMs: 50")) as proxy:
        wait_until(lambda: status(proxy)[0] == 200)
        api.resume()


def test_a_namer_that_is_only_asked_on_demand_counts_as_ready(api: KubeApi) -> None:
    api.stall()
    with Proxy(config(api, dst="/#/io.l5d.k8s")) as proxy:
        assert status(proxy)[0] == 200
        assert proxy.metrics()["namer/#/io.l5d.k8s/watches"] == 0
        api.resume()


def test_a_reload_does_not_take_readiness_back(api: KubeApi, tmp_path: Path) -> None:
    with Proxy(config(api, dst="/$/inet")) as proxy:
        assert status(proxy)[0] == 200
        api.stall()
        proxy.linker.reload(load(config(api), str(tmp_path)))
        assert status(proxy)[0] == 200
        assert proxy.metrics()["namer/#/io.l5d.k8s/watches"] == 1
        api.resume()


def test_a_watch_lives_through_a_reload(api: KubeApi) -> None:
    with Proxy(config(api)) as proxy:
        wait_until(lambda: status(proxy)[0] == 200)
        lists = proxy.metrics()["namer/#/io.l5d.k8s/lists"]
        proxy.linker.reload(
            load(config(api).replace("port: 0, ip", "port: 0, maxCallDepth: 9, ip"), "b")
        )
        get(proxy.port(), "web")
        assert proxy.metrics()["namer/#/io.l5d.k8s/lists"] == lists
