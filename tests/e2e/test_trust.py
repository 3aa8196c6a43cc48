"""Whom the proxy believes: clients within bounds, endpoints by their certificate."""

import logging
from pathlib import Path

import pytest

from tests.e2e.test_routing import config
from tests.kit.certs import Certs
from tests.kit.downstream import Downstream
from tests.kit.proxy import SERVER, Proxy
from tests.kit.wire import get


@pytest.mark.parametrize(
    ("dtab", "status"),
    [
        pytest.param("/svc=>/a;/a=>/b;/b=>/a", 502, id="mutual recursion"),
        pytest.param("/svc=>/svc & /svc", 502, id="doubling"),
        pytest.param("/svc=>/svc/a & /svc/b", 502, id="doubling and growing"),
        pytest.param("/svc=>/svc" + "/a" * 500, 502, id="growing"),
        pytest.param("/svc=>" + "&".join(["/svc/x"] * 600), 502, id="wide"),
        pytest.param("/svc=>" + "(" * 65 + "/a" + ")" * 65, 400, id="parentheses"),
        pytest.param(";".join(["/a=>/b"] * 257), 400, id="many entries"),
        pytest.param("/svc=>", 400, id="broken"),
        pytest.param("/svc=>/a/", 400, id="a slash too many"),
    ],
)
def test_a_dtab_of_a_client_s_can_ruin_its_own_request_only(dtab: str, status: int) -> None:
    with Downstream(lambda _: b"x") as origin, Proxy(config(origin.port)) as proxy:
        reply = get(proxy.port(), "web", "/", f"l5d-dtab: {dtab}")
        assert (reply.status, bool(reply.get("l5d-err"))) == (status, True)
        assert origin.requests == []
        (busy_ms,) = proxy.counts(SERVER, "request_latency_ms.max")
        assert busy_ms < 1000
        assert get(proxy.port(), "web").status == 200


def test_dtab_local_is_a_field_like_any_other() -> None:
    with Downstream(lambda _: b"x") as origin, Proxy(config(origin.port)) as proxy:
        assert get(proxy.port(), "web", "/", "dtab-local: /svc => /$/nil").status == 200
        assert origin.requests[0].get("dtab-local") == "/svc => /$/nil"


FORGED = ("l5d-dst-service", "l5d-dst-client", "l5d-dst-residual", "l5d-reqid")


def test_what_the_mesh_says_of_a_request_is_not_the_client_s_to_say() -> None:
    with Downstream(lambda _: b"x") as origin, Proxy(config(origin.port)) as proxy:
        get(proxy.port(), "web", "/", *(f"{name}: forged" for name in FORGED))
        (received,) = origin.requests
        told = [received.get_all(name) for name in FORGED]
        assert ["forged" in values for values in told] == [False] * len(FORGED)
        assert [len(values) for values in told] == [1, 1, 0, 1]


@pytest.mark.parametrize(
    ("ip", "keys", "warnings"),
    [("127.0.0.1", "", 0), ("0.0.0.0", "", 1), ("0.0.0.0", ", clearContext: true", 0)],
)
def test_a_server_that_strangers_may_steer_is_warned_of(
    caplog: pytest.LogCaptureFixture, ip: str, keys: str, warnings: int
) -> None:
    text = config(1).replace("- {port: 0, ip: 127.0.0.1}", f"- {{port: 0, ip: {ip}{keys}}}")
    with caplog.at_level(logging.WARNING), Proxy(text):
        assert caplog.text.count("clearContext") == warnings


@pytest.mark.parametrize(("named", "status"), [("true", 200), ("false", 502)])
def test_only_who_says_so_skips_verification(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, named: str, status: int
) -> None:
    tls = f"  client: {{tls: {{commonName: web.test, disableValidation: {named}}}}}"
    with (
        caplog.at_level(logging.WARNING),
        Downstream(lambda _: b"x", context=Certs(tmp_path).server("other.test")) as origin,
        Proxy(config(origin.port, tls)) as proxy,
    ):
        assert get(proxy.port(), "web").status == status
        assert origin.server_names == ["web.test"]
        assert ("disableValidation" in caplog.text) is (status == 200)


def test_connections_are_not_shared_between_names_of_tls(tmp_path: Path) -> None:
    """A server that has one name only is not asked for another over its open connection."""
    certs = Certs(tmp_path)
    names = {"/$/inet": "one.test", "/$/io.buoyant.rinet": "two.test"}
    configs = ", ".join(
        f"{{prefix: {prefix}, tls: {{commonName: {name}, trustCertsBundle: {certs.bundle}}}}}"
        for prefix, name in names.items()
    )
    with (
        Downstream(lambda _: b"x", context=certs.server("one.test")) as origin,
        Proxy(
            config(origin.port, f"  client: {{kind: io.l5d.static, configs: [{configs}]}}")
        ) as proxy,
    ):
        other = f"/$/io.buoyant.rinet/{origin.port}/127.0.0.1"
        assert get(proxy.port(), "one").status == 200
        assert get(proxy.port(), "two", "/", f"l5d-dtab: /svc/two => {other}").status == 502
        assert proxy.counts(f"rt/http/client{other}", "failures/tls") == [1]
        assert [request.get("host") for request in origin.requests] == ["one"]
        assert origin.server_names == ["one.test", "two.test"]
