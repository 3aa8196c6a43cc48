"""The files in conf/ load, and egress.yaml is the article's but for what it marks."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import yaml

from meshproxy.config.load import read
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path as Name
from meshproxy.protocols.message_router import MessageRouterConfig
from meshproxy.router.path_policy import path_policy

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "conf").glob("*.yaml"))
ARTICLE = ROOT / "tests/corpus/configs/linkerd/linkerd-egress.yaml"

EXPECTED = {
    "admin.ip",
    "namers[0].fallbackAfterMs",
    "namers[1].fallbackAfterMs",
    "routers[0].client.configs[0].loadBalancer.kind",
    "routers[0].client.configs[0].prefix",
    "routers[1].client.loadBalancer.kind",
    *(
        f"routers[{router}].service.retries.backoff.{key}"
        for router in (0, 1)
        for key in ("kind", "minMs", "maxMs")
    ),
    "routers[0].servers[0].ip",
    "routers[1].interpreter.transformers[0].podIp",
    "routers[1].servers[0].ip",
    "telemetry[2].experimental",
    "telemetry[2].gaugeIntervalMs",
    "telemetry[2].hostname",
    "telemetry[2].kind",
    "telemetry[2].port",
    "telemetry[2].prefix",
    "telemetry[2].sampleRate",
    "usage.orgId",
}
"""Every key that conf/egress.yaml has and the article has not, or has otherwise."""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_loads(file: Path) -> None:
    loaded = read(file.read_text(), str(file))
    assert loaded.config.routers
    assert [str(one) for one in loaded.missing if "/etc/meshproxy/" not in str(one)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_opens_a_port_to_other_machines(file: Path) -> None:
    config = read(file.read_text(), str(file)).config
    servers = [server.ip for router in config.routers for server in router.servers]
    assert {*servers, config.admin.ip} == {"127.0.0.1"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_retries_at_once(file: Path) -> None:
    for router in read(file.read_text(), str(file)).config.routers:
        assert isinstance(router, MessageRouterConfig)
        waits = path_policy(router.service, Name.parse("/svc/web")).backoff()
        assert all(wait > 0 for wait in islice(waits, 5))


def test_the_egress_file_is_the_article_and_what_it_marks() -> None:
    ours = yaml.safe_load((ROOT / "conf/egress.yaml").read_text())
    theirs = yaml.safe_load(ARTICLE.read_text())
    by_prefix = {config["prefix"]: config for config in ours["routers"][0]["client"]["configs"]}
    item = theirs["routers"][0]["client"]["configs"].pop()
    assert by_prefix.pop(item["prefix"]) == item
    ours["routers"][0]["client"]["configs"] = list(by_prefix.values())
    mine, other = dict(leaves(ours)), dict(leaves(theirs))
    different = {key for key in mine | other if mine.get(key) != other.get(key)}
    assert different == EXPECTED


def leaves(node: object, at: str = "") -> Iterator[tuple[str, object]]:
    """Yield every scalar under its dotted path, a dtab parsed."""
    match node:
        case dict():
            for key, value in node.items():
                yield from leaves(value, f"{at}.{key}" if at else key)
        case list():
            for index, value in enumerate(node):
                yield from leaves(value, f"{at}[{index}]")
        case str() if at.endswith(".dtab"):
            yield at, Dtab.parse(node)
        case _:
            yield at, node
