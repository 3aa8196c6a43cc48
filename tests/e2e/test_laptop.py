"""`meshproxy` without a file, and the programs of a laptop that use it, each as its users have it.

All in a network of their own: a site with packages of every kind on ports 80 and 443 of 10.9.0.2,
whose name only the proxy can look up.
"""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import gevent
import pytest

from tests.e2e.test_command import run
from tests.kit.certs import Certs
from tests.kit.daemons import START_S, Daemon, Nginx, find
from tests.kit.k8s import wait_until
from tests.kit.namespace import Namespace, Unavailable, have, with_files

pytestmark = pytest.mark.world
ROOT = Path(__file__).parent.parent.parent
PROXY = "http://127.0.0.1:4140"
SITE = """
  log_format seen '$scheme $request_uri $http_via';
  types {{ application/json json; text/html html; }}
  default_type application/octet-stream;
  root {root};
  server {{
    access_log {log} seen;
    listen 10.9.0.2:80; listen 10.9.0.2:443 ssl; server_name packages.test;
    ssl_certificate {chain}; ssl_certificate_key {key};
    location /simple/ {{ autoindex on; }}
    location = /npm/tiny {{ alias {root}/npm.json; }}
  }}
"""


@dataclass(frozen=True)
class Laptop:
    """A running proxy, and a directory for what its clients keep."""

    proxy: Daemon
    directory: Path
    log: Path
    bundle: Path

    def run(self, *command: str, **environ: str) -> str:
        """Run a program, and return what it prints."""
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LC_ALL": "C"}
        running = subprocess.Popen(
            command,
            cwd=self.directory,
            env=plain | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with gevent.Timeout(2 * START_S):
            printed, _ = running.communicate()
        assert running.returncode == 0, printed + self.proxy.output()
        return printed

    def seen(self) -> list[str]:
        """Return what nginx has logged of requests: scheme, URI and Via."""
        return self.log.read_text().splitlines()


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    for program in ("nginx", "unshare"):
        if not find(program):
            pytest.skip(f"{program} is not installed")
    directory = tmp_path_factory.mktemp("laptop")
    directory.chmod(0o755)
    with ExitStack() as stack:
        try:
            stack.enter_context(Namespace())
        except Unavailable as why:
            pytest.skip(str(why))
        have("10.9.0.2")
        certs = Certs(directory)
        chain, key = certs.files("packages.test")
        log, root = directory / "seen", directory / "root"
        publish(root)
        site = SITE.format(root=root, log=log, chain=chain, key=key)
        stack.enter_context(Nginx(directory, site)).wait_port(443, "10.9.0.2")
        hosts = directory / "hosts"
        hosts.write_text("10.9.0.2 packages.test\n")
        started = Daemon(
            with_files({"/etc/hosts": hosts}, sys.executable, str(ROOT / "bin/meshproxy")),
            directory / "log",
            os.environ | {"SSL_CERT_FILE": str(certs.bundle)},
        )
        proxy = stack.enter_context(started)
        proxy.wait_port(4140)
        yield Laptop(proxy, directory, log, certs.bundle)


def publish(root: Path) -> None:
    """Fill the site with a page, a repository, and a package for each of pip, npm and apt."""
    (root / "simple/tiny").mkdir(parents=True)
    (root / "page").write_text("hello\n")
    wheel = root / "simple/tiny/tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        about = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
        archive.writestr("tiny-1.0.dist-info/METADATA", about)
        kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("tiny-1.0.dist-info/WHEEL", kind)
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    document = {"name": "tiny", "dist-tags": {"latest": "1.0.0"}}
    document["versions"] = {"1.0.0": {"name": "tiny", "version": "1.0.0", "dist": {"tarball": "x"}}}
    (root / "npm.json").write_text(json.dumps(document))
    (root / "apt").mkdir()
    (root / "apt/tiny.deb").write_bytes(b"deb")
    sha256 = hashlib.sha256(b"deb").hexdigest()
    (root / "apt/Packages").write_text(
        "Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: me <me@packages.test>\n"
        f"Filename: ./tiny.deb\nSize: 3\nSHA256: {sha256}\nDescription: tiny\n"
    )
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@packages.test"]
    work = root.parent / "work"
    for command in (
        ["git", "init", "-q", str(work)],
        [*git, "-C", str(work), "commit", "-q", "--allow-empty", "-m", "first"],
        ["git", "clone", "-q", "--bare", str(work), str(root / "tiny.git")],
        ["git", "-C", str(root / "tiny.git"), "update-server-info"],
    ):
        subprocess.run(command, check=True)


def needs(program: str) -> None:
    if not find(program):
        pytest.skip(f"{program} is not installed")


class Told:
    """How a program is told of the proxy: by its own settings, else by the usual variables."""

    def __init__(self, by_settings: bool) -> None:
        self._by_settings = by_settings

    def by(self, *settings: str) -> list[str]:
        """Return its own settings, if it is told by them."""
        return list(settings) if self._by_settings else []

    @property
    def variables(self) -> dict[str, str]:
        """What README sets."""
        if self._by_settings:
            return {}
        return {"http_proxy": PROXY, "https_proxy": PROXY, "no_proxy": "localhost,127.0.0.1"}


@pytest.fixture(params=[False, True], ids=["variables", "settings"])
def told(request: pytest.FixtureRequest) -> Told:
    return Told(by_settings=request.param)


@pytest.fixture(params=["http", "https"])
def url(request: pytest.FixtureRequest, laptop: Laptop) -> Iterator[str]:
    """Where the site is; afterwards, that all requests came through the proxy as they should."""
    before = len(laptop.seen()) if laptop.log.exists() else 0
    yield f"{request.param}://packages.test"
    seen = laptop.seen()[before:]
    via = "1.1 linkerd" if request.param == "http" else "-"
    assert {(line.split(" ")[0], line.split(" ", 2)[2]) for line in seen} == {(request.param, via)}


def test_it_says_what_to_try(laptop: Laptop) -> None:
    wait_until(lambda: "For other programs" in laptop.proxy.output())
    told = laptop.proxy.output()
    assert "serving http://127.0.0.1:4140" in told
    assert f"  export http_proxy={PROXY} https_proxy={PROXY}\n" in told
    assert "  export no_proxy=localhost,127.0.0.1\n" in told


def test_the_commands_it_suggests_work(laptop: Laptop) -> None:
    needs("curl")
    wait_until(lambda: "For other programs" in laptop.proxy.output())
    lines = laptop.proxy.output().replace("example.org/", "example.org/page").splitlines()
    commands = [line.partition("    ")[0] for line in lines if line.startswith("  curl")]
    (laptop.directory / "root/index.html").write_text("home\n")
    for command, expected in zip(commands, ("home", "hello", "rt/outgoing"), strict=True):
        shown = command.replace("example.org", "packages.test") + " -sSf"
        assert expected in laptop.run("sh", "-c", shown, SSL_CERT_FILE=str(laptop.bundle))


@pytest.mark.usefixtures("laptop")
def test_a_second_one_says_how_to_have_other_ports() -> None:
    ran = run()
    assert ran.returncode == 1
    first, *others = ran.stderr.splitlines()
    assert first.endswith("laptop.yaml: cannot listen on 127.0.0.1:4140: Address already in use")
    assert others[-1] == "  meshproxy --print-config laptop > my.yaml && meshproxy my.yaml"


@pytest.mark.parametrize("port", ["", ":443"])
def test_curl_by_the_host_header(laptop: Laptop, port: str) -> None:
    needs("curl")
    command = ["curl", "-sSf", "-H", f"Host: packages.test{port}"]
    assert laptop.run(*command, f"{PROXY}/page") == "hello\n"
    assert laptop.seen()[-1] == f"{'https' if port else 'http'} /page 1.1 linkerd"


def test_curl(laptop: Laptop, url: str, told: Told) -> None:
    needs("curl")
    command = ["curl", "-sSf", *told.by("-x", PROXY), f"{url}/page"]
    assert laptop.run(*command, SSL_CERT_FILE=str(laptop.bundle), **told.variables) == "hello\n"


def test_git(laptop: Laptop, url: str, told: Told, tmp_path: Path) -> None:
    needs("git")
    clone = str(tmp_path / "clone")
    command = ["git", *told.by("-c", f"http.proxy={PROXY}"), "clone", "-q", f"{url}/tiny.git"]
    laptop.run(*command, clone, GIT_SSL_CAINFO=str(laptop.bundle), **told.variables)
    assert laptop.run("git", "-C", clone, "log", "--format=%s") == "first\n"


def test_pip(laptop: Laptop, url: str, told: Told, tmp_path: Path) -> None:
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir"]
    trust = ["--cert", str(laptop.bundle), "--disable-pip-version-check"]
    if url.startswith("http:"):
        trust += ["--trusted-host", "packages.test"]
    where = [*told.by("--proxy", PROXY), "--index-url", f"{url}/simple/", "-d", str(tmp_path)]
    own = {"PIP_CONFIG_FILE": os.devnull, **told.variables}
    laptop.run(*download, *trust, *where, "tiny", **own)
    assert [file.name for file in tmp_path.iterdir()] == ["tiny-1.0-py3-none-any.whl"]


def test_npm(laptop: Laptop, url: str, told: Told) -> None:
    needs("npm")
    trust = [f"--cafile={laptop.bundle}", f"--userconfig={laptop.directory / 'npmrc'}"]
    where = [f"--registry={url}/npm/", *told.by(f"--proxy={PROXY}", f"--https-proxy={PROXY}")]
    view = ["npm", "view", "tiny", "version", "--no-update-notifier", *trust, *where]
    assert laptop.run(*view, **told.variables) == "1.0.0\n"


def test_apt(laptop: Laptop, url: str, told: Told, tmp_path: Path) -> None:
    needs("apt-get")
    (tmp_path / "lists/partial").mkdir(parents=True)
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb [trusted=yes] {url}/apt ./\n")
    settings = {
        "APT::Sandbox::User": "root",
        "Acquire::https::CaInfo": laptop.bundle,
        "Dir::Cache": tmp_path / "cache",
        "Dir::Etc::Parts": tmp_path,
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "-",
        "Dir::State": tmp_path,
        "Dir::State::status": os.devnull,
    }
    apt = ["apt-get", *(f"-o{key}={value}" for key, value in settings.items())]
    apt += told.by(*(f"-oAcquire::{scheme}::Proxy={PROXY}" for scheme in ("http", "https")))
    laptop.run(*apt, "update", **told.variables)
    assert "tiny.deb" in laptop.run(*apt, "download", "tiny", "--print-uris")
