"""DNS and Kubernetes that fail, stall, lie and vanish: what was good stays, and waits end."""

from collections.abc import Callable

import pytest

from meshproxy.discovery.watching.decoding import MAX_BYTES
from tests.kit.dns import DnsServer, Fault
from tests.kit.downstream import Downstream, SlowDownstream
from tests.kit.k8s import KubeApi, config_map, wait_until
from tests.kit.proxy import SERVER, Proxy
from tests.kit.wire import WireClient, get

GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"

# --- DNS ---

DNS = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: ["127.0.0.1:{dns}"], timeoutMs: {ms}, totalTimeoutMs: {ms}, attempts: 1,
  minTtlSecs: 1, maxTtlSecs: 1}}
routers:
- protocol: http
  dtab: /svc => /$/io.buoyant.rinet/{port}
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""
STATS = "inet/dns"
BUSY_MS = 1500
"""In this time a busy machine answers as well."""


def by_dns(server: DnsServer, port: int, timeout_ms: int = 300) -> Proxy:
    """A proxy that finds every host by *server*, at *port*."""
    return Proxy(DNS.format(dns=server.port, port=port, ms=timeout_ms))


def absent(_: DnsServer) -> None:
    """NXDOMAIN."""


def empty(server: DnsServer) -> None:
    server.put("bad.test", '"text"', kind="TXT")


def looped(server: DnsServer) -> None:
    server.put("bad.test", "other.test.", kind="CNAME")
    server.put("other.test", "bad.test.", kind="CNAME")


def failing(fault: Fault) -> Callable[[DnsServer], None]:
    def fail(server: DnsServer) -> None:
        server.put("bad.test", "127.0.0.1")
        server.faults["bad.test"] = fault

    return fail


FAULTS: list[Fault] = [
    "servfail", "refused", "stall", "garbage", "wrong id", "wrong question", "truncate both",
    "tcp hangs up",
]  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(absent, id="NXDOMAIN"),
        pytest.param(empty, id="no address"),
        pytest.param(looped, id="CNAME loop"),
        *(pytest.param(failing(fault), id=fault) for fault in FAULTS),
    ],
)
def test_a_name_that_cannot_be_resolved_is_a_502_and_holds_up_no_other(
    fault: Callable[[DnsServer], None],
) -> None:
    with (
        DnsServer() as server,
        Downstream(lambda _: b"ok") as origin,
        by_dns(server, origin.port, BUSY_MS) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        fault(server)
        server.put("good.test", "127.0.0.1")
        asking.send(GET.replace(b"web", b"bad.test"))
        assert get(proxy.port(), "good.test").body == b"ok"
        reply = asking.read()
        assert (reply.status, bool(reply.get("l5d-err"))) == (502, True)
        counted = ("dns_lookup_failures", "queue_size")
        assert proxy.counts(STATS, *counted) == [1, 0]
        assert proxy.counts(STATS, "successes")[0] >= 1  # again when its second is over
        assert proxy.counts(SERVER, "status/502", "status/200") == [1, 1]


def test_a_dns_server_that_is_not_there_is_a_502() -> None:
    with DnsServer() as server, by_dns(server, 1) as proxy:
        server.close()
        assert get(proxy.port(), "bad.test").status == 502
        assert proxy.counts(STATS, "dns_lookup_failures") == [1]


def test_what_was_good_serves_while_dns_fails() -> None:
    names = {f"{fault.replace(' ', '-')}.test": fault for fault in FAULTS}
    with (
        DnsServer() as server,
        Downstream(lambda _: b"ok") as origin,
        by_dns(server, origin.port) as proxy,
    ):
        for name in [*names, "empty.test"]:
            server.put(name, "127.0.0.1")
            wait_until(lambda name=name: get(proxy.port(), name).status == 200)
        server.faults.update(names)
        server.remove("empty.test")
        server.put("empty.test", '"text"', kind="TXT")
        failed = len(names) + 1
        wait_until(lambda: proxy.counts(STATS, "dns_lookup_failures")[0] >= failed)
        assert {get(proxy.port(), name).status for name in [*names, "empty.test"]} == {200}


def test_a_name_that_goes_is_refused_and_one_that_comes_is_served() -> None:
    with (
        DnsServer() as server,
        Downstream(lambda _: b"ok") as origin,
        by_dns(server, origin.port, 5000) as proxy,
    ):
        server.put("old.test", "127.0.0.1")
        statuses = [get(proxy.port(), name).status for name in ("old.test", "new.test")]
        assert statuses == [200, 502]
        server.remove("old.test")
        server.put("new.test", "127.0.0.1")
        wait_until(lambda: get(proxy.port(), "new.test").status == 200)
        wait_until(lambda: get(proxy.port(), "old.test").status == 502)


def test_of_thousands_of_addresses_256_are_used() -> None:
    with (
        DnsServer() as server,
        Downstream(lambda _: b"ok", host="0.0.0.0") as origin,
        by_dns(server, origin.port, 5000) as proxy,
    ):
        server.put("big.test", *(f"127.0.{n // 250}.{n % 250 + 1}" for n in range(3000)))
        assert get(proxy.port(), "big.test").status == 200
        scope = f"rt/http/client/$/io.buoyant.rinet/{origin.port}/big.test"
        assert proxy.counts(scope, "loadbalancer/size") == [256]


# --- Kubernetes ---

K8S = """
admin: {{ip: 127.0.0.1, port: 0}}
namers: [{{kind: io.l5d.k8s, host: 127.0.0.1, port: {api}, {namer}}}]
routers:
- protocol: http
  bindingTimeoutMs: {ms}
  dtab: |
    /svc => /$/inet/127.0.0.1/{other} ;
    /svc => /#/io.l5d.k8s/default/http
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""
NAMER = "namer/#/io.l5d.k8s"
FALLBACK = "fallbackAfterMs: 50"


def by_k8s(api: KubeApi, other: int = 1, namer: str = "", timeout_ms: int = 10_000) -> Proxy:
    """A proxy that asks *api*, and sends to *other* what that says is not there.

    A first answer may take long on a busy machine: only who waits for a timeout has a short one.
    """
    return Proxy(K8S.format(api=api.port, other=other, namer=namer, ms=timeout_ms))


def refusing(status: int) -> Callable[[KubeApi], None]:
    return lambda api: api.refusals.update({"/": status})


def answering(body: bytes) -> Callable[[KubeApi], None]:
    return lambda api: api.answers.update({"/": body})


OUTAGES = [
    pytest.param(KubeApi.close, "connect", id="refuses"),
    pytest.param(refusing(401), "status", id="401"),
    pytest.param(refusing(403), "status", id="403"),
    pytest.param(refusing(500), "status", id="500"),
    pytest.param(refusing(503), "status", id="503"),
    pytest.param(answering(b"<html>"), "malformed", id="not JSON"),
    pytest.param(answering(b'{"items": [{'), "malformed", id="half an answer"),
]


@pytest.mark.parametrize(("outage", "reason"), OUTAGES)
def test_before_anything_is_known_a_name_is_pending_then_a_503(
    outage: Callable[[KubeApi], None], reason: str
) -> None:
    with KubeApi() as api, by_k8s(api, timeout_ms=200) as proxy:
        outage(api)
        reply = get(proxy.port(), "web")
        assert reply.status == 503
        assert b"Exceeded 0.2.seconds binding timeout" in reply.body
        wait_until(lambda: proxy.counts(NAMER, f"failures/{reason}")[0] >= 1)
        assert proxy.counts(SERVER, "failures/binding_timeout") == [1]


def test_an_api_that_stalls_holds_nobody_up_for_longer_than_the_binding_timeout() -> None:
    with KubeApi() as api, by_k8s(api, timeout_ms=200) as proxy:
        api.stall()
        assert get(proxy.port(), "web").status == 503
        assert proxy.counts(SERVER, "failures/binding_timeout") == [1]


@pytest.mark.parametrize("outage", [*(case.values[0] for case in OUTAGES), KubeApi.stall])
def test_before_anything_is_known_the_fallback_serves_if_it_may(
    outage: Callable[[KubeApi], None],
) -> None:
    with (
        KubeApi() as api,
        Downstream(lambda _: b"other") as origin,
        by_k8s(api, origin.port, FALLBACK) as proxy,
    ):
        outage(api)
        assert get(proxy.port(), "web").body == b"other"


def telling(data: bytes) -> Callable[[KubeApi], None]:
    return lambda api: api.send(data)


def half_a_line(api: KubeApi) -> None:
    api.send(b'{"type":"DELETED","object":{"metadata":{"name":"web')
    api.break_watches()


def away(outage: Callable[[KubeApi], None]) -> Callable[[KubeApi], None]:
    def break_and_stay_away(api: KubeApi) -> None:
        outage(api)
        api.break_watches()

    return break_and_stay_away


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        *(
            pytest.param(away(case.values[0]), case.values[1], id=case.id)  # type: ignore[arg-type]
            for case in OUTAGES
        ),
        pytest.param(KubeApi.expire_watches, "gone", id="410"),
        pytest.param(telling(b"not JSON\n"), "malformed", id="a line of nonsense"),
        pytest.param(telling(b"x" * (MAX_BYTES + 1)), "malformed", id="a huge line"),
        pytest.param(half_a_line, "broken", id="half a line"),
    ],
)
def test_known_endpoints_stay_in_use_and_changes_are_caught_up(
    fault: Callable[[KubeApi], None], reason: str
) -> None:
    with (
        KubeApi() as api,
        Downstream(lambda _: b"old") as old,
        Downstream(lambda _: b"new") as new,
        by_k8s(api, namer=FALLBACK) as proxy,
    ):
        api.publish("web", "127.0.0.1", port=old.port)
        wait_until(lambda: get(proxy.port(), "web").body == b"old")
        wait_until(lambda: len(api.watchers) == 1)
        fault(api)
        wait_until(lambda: proxy.counts(NAMER, f"failures/{reason}")[0] >= 1)
        assert get(proxy.port(), "web").body == b"old"
        api.publish("web", "127.0.0.1", port=new.port)
        api.refusals.clear()
        api.answers.clear()
        if reason == "connect":
            api.listen()
        wait_until(lambda: get(proxy.port(), "web").body == b"new")


def test_a_watch_that_stalls_loses_nothing_that_is_known() -> None:
    with (
        KubeApi() as api,
        Downstream(lambda _: b"ok") as origin,
        by_k8s(api) as proxy,
    ):
        api.publish("web", "127.0.0.1", port=origin.port)
        api.publish("more", "127.0.0.1", port=origin.port)
        assert get(proxy.port(), "web").body == b"ok"
        api.stall()
        assert [get(proxy.port(), name).body for name in ("web", "more")] == [b"ok", b"ok"]


def test_a_reload_while_the_api_is_down_loses_nothing() -> None:
    with (
        KubeApi() as api,
        Downstream(lambda _: b"ok") as origin,
        Downstream(lambda _: b"new") as new,
        by_k8s(api) as proxy,
    ):
        api.publish("web", "127.0.0.1", port=origin.port)
        assert get(proxy.port(), "web").body == b"ok"
        api.close()
        text = K8S.format(api=api.port, other=2, namer="", ms=10_000)
        for number in range(2):
            proxy.reload(text.replace("/svc => /$", f"/unused{number} => /$/nil ;\n    /svc => /$"))
        assert get(proxy.port(), "web").body == b"ok"
        api.publish("web", "127.0.0.1", port=new.port)
        api.listen()
        wait_until(lambda: get(proxy.port(), "web").body == b"new")


CONFIG_MAP = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  interpreter:
    kind: io.l5d.k8s.configMap
    experimental: true
    host: 127.0.0.1
    port: {api}
    name: dtabs
    filename: web.dtab
  dtab: /svc => /$/inet/127.0.0.1/{other} ; /svc => /stored
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""


def test_a_dtab_in_a_config_map_is_followed_and_stays_while_the_api_is_down() -> None:
    with (
        KubeApi() as api,
        Downstream(lambda _: b"one") as one,
        Downstream(lambda _: b"two") as two,
        Downstream(lambda _: b"own") as own,
        Proxy(text := CONFIG_MAP.format(api=api.port, other=own.port)) as proxy,
    ):

        def put(origin: Downstream) -> None:
            rule = f"/stored/web => /$/inet/127.0.0.1/{origin.port}"
            api.apply(config_map("dtabs", **{"web.dtab": rule}))

        def wait(body: bytes) -> None:
            wait_until(lambda: get(proxy.port(), "web").body == body)

        assert get(proxy.port(), "web").body == b"own"
        put(one)
        wait(b"one")
        page = "/http/interpreter_state/io.l5d.k8s.configmap.json"
        state = get(proxy.linker.admin_port, "localhost", page)
        assert (state.status, f"127.0.0.1/{one.port}".encode() in state.body) == (200, True)
        api.close()
        errors = "rt/http/interpreter/io.l5d.k8s.configMap"
        wait_until(lambda: proxy.counts(errors, "errors")[0] >= 2)
        assert get(proxy.port(), "web").body == b"one"
        client = "  client: {requestAttemptTimeoutMs: 9999}\n  servers:"
        proxy.reload(text.replace("  servers:", client))
        assert get(proxy.port(), "web").body == b"one"
        put(two)
        api.listen()
        wait(b"two")
        api.delete("configmaps", "dtabs")
        wait(b"own")


def test_an_endpoint_that_goes_finishes_what_it_does() -> None:
    with (
        KubeApi() as api,
        SlowDownstream(b"old") as old,
        Downstream(lambda _: b"new") as new,
        by_k8s(api) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        api.publish("web", "127.0.0.1", port=old.port)
        asking.send(GET)
        old.wait_asked()
        api.publish("web", "127.0.0.1", port=new.port)
        proxy.wait_count("rt/http/client/#/io.l5d.k8s/default/http/web", "loadbalancer/removes")
        assert get(proxy.port(), "web").body == b"new"
        old.let_go()
        assert asking.read().body == b"old"
        assert len(old.requests) == 1
