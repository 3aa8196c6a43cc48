"""Which settings apply to a name, merged setting by setting."""

import math
from pathlib import Path as FilePath

import pytest

from meshproxy.accrual.policies import ConsecutiveFailuresConfig, NoneConfig
from meshproxy.balancers.ewma import EwmaConfig
from meshproxy.balancers.p2c import P2cConfig
from meshproxy.client.tls import ClientAuth, TlsSettings
from meshproxy.config.client import ClientItem, GlobalClientConfig, StaticClientConfig
from meshproxy.config.injected_headers import InjectedHeaderConfig
from meshproxy.config.retries import RetryBudgetConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.config.tls import ClientAuthConfig, ClientTlsConfig
from meshproxy.config.upstream_proxy import UpstreamProxyConfig
from meshproxy.errors import TlsFailed
from meshproxy.http.limits import Limits
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path
from meshproxy.router.policy import ClientPolicy, client_policy, files_of, new_budget
from tests.kit.certs import Certs

RINET = Path.parse("/$/io.buoyant.rinet/443/linkerd.io")
HELLO = Path.parse("/svc/hello")


READ_7_S = SocketOptionsConfig(read_timeout_ms=7000)


def item(prefix: str, **settings: object) -> ClientItem:
    return ClientItem(prefix=PathMatcher.parse(prefix), **settings)


def of_client(*items: ClientItem, name: Path = RINET) -> ClientPolicy:
    return client_policy(StaticClientConfig(configs=items), name)


@pytest.mark.parametrize("config", [GlobalClientConfig(), StaticClientConfig()])
def test_without_settings_a_client_has_every_default(config: GlobalClientConfig) -> None:
    policy = client_policy(config, RINET)
    assert policy == ClientPolicy(
        tls=None,
        server_name=None,
        balancer=P2cConfig(max_effort=5),
        accrual=ConsecutiveFailuresConfig(failures=5),
        attempt_seconds=None,
        connect_seconds=1,
        requeue_budget=RetryBudgetConfig(),
    )


def test_global_settings_are_for_every_name() -> None:
    policy = client_policy(
        GlobalClientConfig(load_balancer=EwmaConfig(), request_attempt_timeout_ms=1500), RINET
    )
    assert (policy.balancer, policy.attempt_seconds) == (EwmaConfig(), 1.5)


def test_captures_of_the_matching_prefix_name_the_server() -> None:
    policy = of_client(
        item(
            "/$/io.buoyant.rinet/443/{service}",
            tls=ClientTlsConfig(common_name="{service}", trust_certs_bundle="/ca.pem"),
        )
    )
    assert policy.server_name == "linkerd.io"
    assert policy.tls == TlsSettings(trust=("/ca.pem",))


def test_each_item_uses_its_own_captures() -> None:
    policy = of_client(
        item("/$/{kind}", load_balancer=EwmaConfig()),
        item("/$/*/443/{kind}", tls=ClientTlsConfig(common_name="{kind}.{port}")),
        item("/$/*/{port}", fail_fast=True),
    )
    assert policy.fail_fast
    assert policy.server_name == "linkerd.io.{port}"


def test_other_names_are_left_alone() -> None:
    tls = ClientTlsConfig(common_name="x")
    plain = Path.parse("/$/io.buoyant.rinet/80/linkerd.io")
    hopped = Path.parse("/%/io.l5d.k8s.daemonset/l5d/http/l5d") + RINET
    only_443 = item("/$/io.buoyant.rinet/443/{service}", tls=tls)
    assert of_client(only_443, name=plain).tls is None
    assert of_client(only_443, name=hopped).tls is None


def test_later_items_win_setting_by_setting() -> None:
    policy = of_client(
        item("/", load_balancer=EwmaConfig(), request_attempt_timeout_ms=1000),
        item("/$", failure_accrual=NoneConfig(), request_attempt_timeout_ms=2000),
        item("/nothing", request_attempt_timeout_ms=3000),
    )
    assert policy.balancer == EwmaConfig()
    assert policy.accrual == NoneConfig()
    assert policy.attempt_seconds == 2


def test_a_setting_is_replaced_as_a_whole() -> None:
    policy = of_client(
        item("/", requeue_budget=RetryBudgetConfig(ttl_secs=30, min_retries_per_sec=1)),
        item("/$", requeue_budget=RetryBudgetConfig(percent_can_retry=0.5)),
    )
    assert policy.requeue_budget == RetryBudgetConfig(percent_can_retry=0.5)
    assert (policy.max_requeues, of_client(item("/", max_requeues=0)).max_requeues) == (24, 0)


def test_tls_can_be_undone_and_replaced() -> None:
    first = item("/", tls=ClientTlsConfig(common_name="a", allow_common_name=True))
    undone = of_client(first, item("/$", tls=ClientTlsConfig(enabled=False)))
    assert (undone.tls, undone.server_name, undone.connect_seconds) == (None, None, 1)
    replaced = of_client(first, item("/$", tls=ClientTlsConfig(disable_validation=True)))
    assert (replaced.tls, replaced.server_name) == (TlsSettings(verify=False), None)


def test_every_key_of_tls_arrives() -> None:
    policy = of_client(
        item(
            "/",
            tls=ClientTlsConfig(
                common_name="a",
                trust_certs=("/a.pem", "/b.pem"),
                client_auth=ClientAuthConfig(cert_path="/c.pem", key_path="/k.pem"),
                protocols=("TLSv1.2",),
                allow_common_name=True,
            ),
        )
    )
    assert policy.tls == TlsSettings(
        trust=("/a.pem", "/b.pem"),
        auth=ClientAuth("/c.pem", "/k.pem"),
        protocols=("TLSv1.2",),
        allow_common_name=True,
    )


def test_without_validation_the_name_is_still_sent() -> None:
    tls = ClientTlsConfig(disable_validation=True, common_name="{service}")
    policy = of_client(item("/$/*/443/{service}", tls=tls))
    assert (policy.tls, policy.server_name) == (TlsSettings(verify=False), "linkerd.io")


@pytest.mark.parametrize(
    ("tls", "what"),
    [
        pytest.param(ClientTlsConfig(), "`commonName` is not set", id="no name to verify"),
        pytest.param(
            ClientTlsConfig(common_name="a", trust_certs=("/a",), trust_certs_bundle="/b"),
            "only the bundle",
            id="two sets of authorities",
        ),
    ],
)
def test_tls_that_cannot_work_fails_the_client_it_is_for(tls: ClientTlsConfig, what: str) -> None:
    with pytest.raises(TlsFailed, match=what):
        of_client(item("/", tls=tls))
    of_client(item("/elsewhere", tls=tls))
    of_client(item("/", tls=tls), item("/", tls=ClientTlsConfig(enabled=False)))


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        pytest.param({}, 1, id="plain"),
        pytest.param({"tls": ClientTlsConfig(common_name="a")}, 2, id="tls takes longer"),
        pytest.param(
            {"tls": ClientTlsConfig(common_name="a"), "connect_timeout_ms": 500}, 0.5, id="as set"
        ),
        pytest.param({"connect_timeout_ms": 0}, math.inf, id="off"),
    ],
)
def test_time_to_connect(settings: dict[str, object], seconds: float) -> None:
    assert of_client(item("/", **settings)).connect_seconds == seconds


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 300),
        ({"request_attempt_timeout_ms": 0}, math.inf),
        ({"request_attempt_timeout_ms": 1500}, 1.5),
        ({"request_attempt_timeout_ms": 900_000}, 900),
        ({"request_attempt_timeout_ms": 0, "socket_options": READ_7_S}, 7),
        ({"request_attempt_timeout_ms": 900_000, "socket_options": READ_7_S}, 7),
        ({"socket_options": READ_7_S}, 7),
    ],
)
def test_time_for_a_response_to_begin(settings: dict[str, object], seconds: float) -> None:
    transport = of_client(item("/", **settings)).transport(Limits())
    assert transport.limits.first_byte == seconds


def test_an_attempt_as_a_whole_is_limited_if_that_is_configured() -> None:
    limited = of_client(item("/", request_attempt_timeout_ms=1500)).transport(Limits())
    assert limited.limits.attempt == 1.5
    assert of_client(item("/")).transport(Limits()).limits.attempt == math.inf


def test_connecting_ends_even_without_a_limit_of_its_own() -> None:
    transport = of_client(item("/", connect_timeout_ms=0)).transport(Limits(first_byte=7))
    assert transport.connect_seconds == 7


@pytest.mark.parametrize("ms", [0, -5])
def test_a_timeout_of_zero_or_less_is_none(ms: int) -> None:
    assert of_client(item("/", request_attempt_timeout_ms=ms)).attempt_seconds == math.inf


def test_a_budget_is_made_for_each_that_asks() -> None:
    config = RetryBudgetConfig(ttl_secs=1, min_retries_per_sec=3, percent_can_retry=0.5)
    one, other = new_budget(config), new_budget(config)
    assert one.balance() == 3
    assert one.try_withdraw()
    assert (one.balance(), other.balance()) == (2, 3)


def test_a_changed_file_makes_another_context_of_the_same_policy(tmp_path: FilePath) -> None:
    certs = Certs(tmp_path)
    config = StaticClientConfig(configs=(item("/", tls=trusting(certs)),))
    (first,) = files_of(config)
    before = first.value
    policy = client_policy(config, RINET)
    assert files_of(config) == [first]
    assert first.value is before
    certs.bundle.write_text(certs.bundle.read_text() + "\n")
    assert files_of(config) == [first]
    assert first.value is not before
    assert client_policy(config, RINET) == policy


def test_a_file_that_cannot_be_used_is_found_at_once(tmp_path: FilePath) -> None:
    certs = Certs(tmp_path)
    certs.bundle.write_text("no certificate")
    with pytest.raises(TlsFailed, match=r"ca\.pem"):
        files_of(StaticClientConfig(configs=(item("/never", tls=trusting(certs)),)))


def test_a_file_that_has_become_unusable_is_found_while_the_last_good_one_serves(
    tmp_path: FilePath,
) -> None:
    secret = tmp_path / "key"
    secret.write_text("first")
    header = InjectedHeaderConfig(name="X-Key", file=str(secret))
    config = StaticClientConfig(configs=(item("/", inject_headers=(header,)),))
    (kept,) = files_of(config)
    secret.write_text("")
    for _ in range(2):
        with pytest.raises(ValueError, match="key is empty"):
            files_of(config)
    assert kept.value == b"first"


PARENTS = UpstreamProxyConfig(addresses=("parent.test:3128",))  # type: ignore[arg-type]


def test_parents_have_more_time_and_an_empty_list_undoes_them(tmp_path: FilePath) -> None:
    tls = trusting(Certs(tmp_path))
    rules = (
        item("/", upstream_proxy=PARENTS, tls=tls),
        item("/#", upstream_proxy=UpstreamProxyConfig(addresses=())),
    )
    config = StaticClientConfig(configs=rules)
    policy = client_policy(config, RINET)
    assert (policy.upstream_proxy, policy.connect_seconds) == (PARENTS, 5.0)
    policy = client_policy(config, Path.parse("/#/io.l5d.fs/web"))
    assert (policy.upstream_proxy, policy.connect_seconds) == (None, 2.0)


def trusting(certs: Certs) -> ClientTlsConfig:
    return ClientTlsConfig(common_name="web.test", trust_certs_bundle=str(certs.bundle))


def test_keys_of_http_2_are_merged_key_by_key() -> None:
    policy = of_client(item("/", max_frame_bytes=20_000), item("/$", header_table_bytes=0))
    assert (policy.h2.max_frame_bytes, policy.h2.header_table_bytes) == (20_000, 0)
    assert policy.h2.stream_window_bytes == of_client().h2.stream_window_bytes


def test_endpoints_speak_what_the_router_does_unless_a_rule_says_more() -> None:
    unset = ClientPolicy(protocol="h2")
    assert client_policy(GlobalClientConfig(protocol="same"), RINET, unset=unset).protocol == "h2"
    assert client_policy(GlobalClientConfig(protocol="http"), RINET, unset=unset).protocol == "http"
