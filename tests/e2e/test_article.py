"""The egress article itself: its unchanged file, real named and nginx, and real ports.

Everything runs in a network namespace of its own. Pods have addresses in 127.1.1.0/24, which is
one node's; the site outside is nginx on 10.9.0.2, with a certificate for linkerd.io alone.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import gevent
import pytest

from tests.demo.services import hello, world
from tests.kit.certs import Certs
from tests.kit.daemons import Daemon, Named, Nginx, find
from tests.kit.downstream import Downstream
from tests.kit.k8s import KubeApi
from tests.kit.namespace import Namespace, Unavailable, have, with_files
from tests.kit.statsd import Collector
from tests.kit.wire import dial

pytestmark = pytest.mark.world
ROOT = Path(__file__).parent.parent.parent
ARTICLE = ROOT / "tests/corpus/configs/linkerd/linkerd-egress.yaml"
NODE, HELLO, WORLD, WORLD2, SITE, SITE2 = (
    "127.1.1.1", "127.1.1.10", "127.1.1.11", "127.1.1.12", "10.9.0.2", "10.9.0.3",
)  # fmt: skip
NAMES = {"linkerd.io": SITE, "other.test": SITE, "hello": SITE2, "moving.test": SITE}
TTL_S = 1
SITES = """
  log_format seen '$scheme $ssl_server_name $host $http_via';
  server {{
    listen {site}:80; access_log {log} seen;
    location = /who {{ return 200 "first"; }}
    location / {{ return 301 https://$host$request_uri; }}
  }}
  server {{
    listen {site}:443 ssl; access_log {log} seen;
    ssl_certificate {chain}; ssl_certificate_key {key};
    location / {{ return 200 "secure"; }}
  }}
  server {{ listen {other}:80; location / {{ return 200 "second"; }} }}
"""


@dataclass
class Article:
    """The running world."""

    directory: Path
    api: KubeApi
    dns: Named
    pods: dict[str, Downstream]
    log: Path

    def seen(self) -> list[str]:
        """Return what nginx logged of requests to the site."""
        return self.log.read_text().splitlines() if self.log.exists() else []


def curl(host: str, *args: str, path: str = "/") -> "Curled":
    """Ask the proxy for *path* of *host* as a user would."""
    command = ["curl", "-si", "-m", "20", "-H", f"Host: {host}", *args, f"127.0.0.1:4140{path}"]
    begun = time.monotonic()
    output = subprocess.run(command, capture_output=True, check=False).stdout.decode()
    head, _, body = output.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    code = int(status.split()[1]) if status else 0
    return Curled(code, fields, body.strip(), time.monotonic() - begun)


@dataclass(frozen=True)
class Curled:
    """What curl got; `took` in seconds."""

    status: int
    fields: dict[str, str]
    body: str
    took: float


@pytest.fixture(scope="module")
def article(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Article]:
    """Build the world and start the article's unchanged file in it."""
    directory = _directory(tmp_path_factory, "article")
    with ExitStack() as stack:
        _namespace(stack)
        certs = Certs(directory)
        dns = stack.enter_context(Named(directory, TTL_S))
        dns.know(NAMES)
        log = _site(stack, certs, directory)
        api = stack.enter_context(KubeApi(port=8001))
        pods = {
            "hello": stack.enter_context(hello(HELLO, 4140)),
            "world-v1": stack.enter_context(world(WORLD)),
            "world-v2": stack.enter_context(world(WORLD2, "Universe")),
        }
        api.publish("l5d", NODE, port=4141, port_name="incoming")
        for name, pod in pods.items():
            api.publish(name, pod.host, port=pod.port)
        proxy = stack.enter_context(serve(ARTICLE, directory, certs, POD_IP=NODE))
        proxy.wait_port(4141)
        yield Article(directory, api, dns, pods, log)


@dataclass
class Laptop:
    """conf/egress.yaml where there is no cluster, and the statsd server it tells."""

    proxy: Daemon
    statsd: Collector


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """Start conf/egress.yaml with DNS, a site and a statsd server, and no Kubernetes."""
    directory = _directory(tmp_path_factory, "laptop")
    with ExitStack() as stack:
        _namespace(stack)
        certs = Certs(directory)
        stack.enter_context(Named(directory, TTL_S)).know(NAMES)
        _site(stack, certs, directory)
        statsd = stack.enter_context(Collector(8125))
        proxy = stack.enter_context(serve(ROOT / "conf/egress.yaml", directory, certs))
        yield Laptop(proxy, statsd)


def _directory(factory: pytest.TempPathFactory, name: str) -> Path:
    directory = factory.mktemp(name)
    directory.chmod(0o755)
    return directory


def _namespace(stack: ExitStack) -> None:
    for program in ("named", "nginx", "curl", "unshare"):
        if not find(program):
            pytest.skip(f"{program} is not installed")
    try:
        stack.enter_context(Namespace())
    except Unavailable as why:
        pytest.skip(str(why))
    have(SITE, SITE2)


def _site(stack: ExitStack, certs: Certs, directory: Path) -> Path:
    chain, key = certs.files("linkerd.io")
    log = directory / "site.log"
    servers = SITES.format(site=SITE, other=SITE2, log=log, chain=chain, key=key)
    site = stack.enter_context(Nginx(directory, servers))
    site.wait_port(80, SITE)
    return log


def serve(config: Path, directory: Path, certs: Certs, **environ: str) -> Daemon:
    """Start the proxy on *config* with the namespace's DNS and the world's authority."""
    resolv, hosts = directory / "resolv.conf", directory / "hosts"
    resolv.write_text("nameserver 127.0.0.1\n")
    hosts.write_text("127.0.0.1 localhost\n10.9.0.2 in-hosts.test\n")
    command = with_files(
        {"/etc/resolv.conf": resolv, "/etc/hosts": hosts},
        *(sys.executable, "-m", "meshproxy", str(config)),
    )
    paths = {"PYTHONPATH": str(ROOT), "SSL_CERT_FILE": str(certs.bundle)}
    started = Daemon(command, directory / f"{config.stem}.log", os.environ | paths | environ)
    started.wait_port(4140)
    return started


def eventually(holds: Callable[[], bool], within_s: float) -> bool:
    """Ask until it holds, or the time is over."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        gevent.sleep(0.05)
    return True


def test_a_service_is_reached_through_both_hops(article: Article) -> None:
    got = curl("hello")
    assert (got.status, got.body) == (200, f"Hello ({HELLO}) World ({WORLD})!!")
    assert article.pods["hello"].requests[-1].get("via") == "1.1 linkerd, 1.1 linkerd"


@pytest.mark.usefixtures("article")
def test_the_override_is_carried_through_the_application_for_one_request() -> None:
    override = "l5d-dtab: /host/world => /srv/world-v2 ;"
    assert curl("hello", "-H", override).body == f"Hello ({HELLO}) Universe ({WORLD2})!!"
    assert curl("hello").body == f"Hello ({HELLO}) World ({WORLD})!!"


@pytest.mark.usefixtures("article")
def test_a_name_outside_is_asked_on_port_80() -> None:
    got = curl("linkerd.io")
    assert (got.status, got.fields["location"]) == (301, "https://linkerd.io/")


def test_port_443_is_spoken_to_over_verified_tls_with_its_name(article: Article) -> None:
    got = curl("linkerd.io:443")
    assert (got.status, got.body) == (200, "secure")
    assert article.seen()[-1] == "https linkerd.io linkerd.io 1.1 linkerd"


def test_a_certificate_for_another_name_is_refused_with_nothing_sent(article: Article) -> None:
    before = article.seen()
    got = curl("other.test:443", "-d", "secret=1")
    assert got.status == 502
    assert "l5d-err" in got.fields
    assert article.seen() == before


@pytest.mark.usefixtures("article")
def test_an_unknown_name_is_refused_at_once() -> None:
    got = curl("nobody.test")
    assert got.status == 502
    assert "l5d-err" in got.fields
    assert got.took < 1


def test_a_moved_endpoint_is_followed(article: Article) -> None:
    with world("127.1.1.20", "Moved") as other:
        article.api.publish("world-v1", other.host, port=other.port)
        assert eventually(lambda: curl("world").body.startswith("Moved"), 1)
        article.api.break_watches()
        with world("127.1.1.21", "Again") as third:
            article.api.publish("world-v1", third.host, port=third.port)
            assert eventually(lambda: curl("world").body.startswith("Again"), 1)
            pod = article.pods["world-v1"]
            article.api.publish("world-v1", pod.host, port=pod.port)
            assert eventually(lambda: curl("world").body == f"World ({WORLD})!!", 1)


def test_a_deleted_service_falls_back_to_dns(article: Article) -> None:
    article.api.withdraw("hello")
    assert eventually(lambda: curl("hello").body == "second", 1)
    pod = article.pods["hello"]
    article.api.publish("hello", pod.host, port=pod.port)
    assert eventually(lambda: curl("hello").body.startswith("Hello"), 1)


def test_a_changed_dns_answer_is_followed_after_its_ttl(article: Article) -> None:
    assert curl("moving.test", path="/who").body == "first"
    article.dns.know(NAMES | {"moving.test": SITE2})
    assert eventually(lambda: curl("moving.test", path="/who").body == "second", 12)
    article.dns.know(NAMES)


@pytest.mark.parametrize("host", ["linkerd.io", "linkerd.io:80", "in-hosts.test:80"])
def test_without_a_cluster_names_outside_are_served_within_a_second(
    laptop: Laptop, host: str
) -> None:
    got = curl(host, path="/who")
    assert (got.status, got.body) == (200, "first"), laptop.proxy.output()
    assert got.took < 1


def test_without_a_cluster_tls_is_begun_for_port_443(laptop: Laptop) -> None:
    assert curl("linkerd.io:443").body == "secure", laptop.proxy.output()


@pytest.mark.usefixtures("laptop")
@pytest.mark.parametrize("port", [4140, 4141, 9990])
def test_no_other_address_of_the_machine_is_served(port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        dial(("127.0.0.2", port), timeout_s=5)


@pytest.mark.parametrize("host", ["localhost:4140", "127.0.0.1:4141", "in-hosts.test:9990"])
def test_the_proxy_s_own_ports_are_no_destination(laptop: Laptop, host: str) -> None:
    got = curl(host)
    is_ours = not host.startswith("in-hosts")  # 10.9.0.2, where nobody listens
    assert (got.status, "loop+detected" in got.fields["l5d-err"]) == (
        508 if is_ours else 502,
        is_ours,
    )
    assert got.took < 1, laptop.proxy.output()


def test_statsd_gets_every_count_whole(laptop: Laptop) -> None:
    name = "linkerd.rt.outgoing.service.svc.moving_test.requests"
    for times in (7, 14):
        for _ in range(7):
            curl("moving.test")
        assert eventually(lambda times=times: laptop.statsd.count(name) >= times, 15)
        assert laptop.statsd.count(name) == times


def test_it_stays_small_without_kubernetes_in_use(laptop: Laptop) -> None:
    status = Path(f"/proc/{laptop.proxy.process.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 60 * 1024
