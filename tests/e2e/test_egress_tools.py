"""curl, requests and git behind `default: deny`: they reach exactly the hosts that are allowed.

Each in the three forms of a proxied request: Host, absolute form, and CONNECT.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.kit.certs import Certs
from tests.kit.daemons import Named, Nginx, find
from tests.kit.namespace import Namespace, Unavailable, have
from tests.kit.proxy import Proxy

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: [127.0.0.1]}}
routers:
- protocol: http
  label: http
  dtab: |
    /ph  => /$/io.buoyant.rinet ;
    /svc => /ph/80 ;
    /svc => /$/io.buoyant.porthostPfx/ph ;
  {egress}
  servers:
  - {{port: 0, ip: 127.0.0.1}}
"""
RULES = """egress:
    default: deny
    rules:
    - {name: code, action: allow, host: git.test, port: [80, 443]}
    - {name: files, action: allow, host: "*.files.test", port: [80, 443]}"""
ALLOWED = ["git.test", "a.files.test"]
DENIED = ["other.test", "files.test", "git.test.other.test"]
FORMS = ["host", "absolute", "connect"]


@dataclass
class World:
    """nginx with a file and a repository, under every name; in plain text and in TLS."""

    directory: Path
    certs: Certs


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    missing = [one for one in ("named", "nginx", "curl", "git") if find(one) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    directory = tmp_path_factory.mktemp("tools")
    with ExitStack() as stack:
        try:
            stack.enter_context(Namespace())
        except Unavailable as why:
            pytest.skip(str(why))
        have("8.8.8.8")
        names = [*ALLOWED, *DENIED]
        certs = Certs(directory)
        chain, key = certs.files(*names)
        served = directory / "served"
        served.mkdir()
        (served / "page").write_text("the page\n")
        repository(directory / "work", served / "code.git")
        tls = f"ssl_certificate {chain}; ssl_certificate_key {key};"
        stack.enter_context(
            Nginx(
                directory,
                f"server {{ listen 8.8.8.8:80; listen 8.8.8.8:443 ssl; {tls} root {served}; }}",
            )
        ).wait_port(443, "8.8.8.8")
        named = stack.enter_context(Named(directory, ttl=60))
        named.know(dict.fromkeys(names, "8.8.8.8"))
        yield World(directory, certs)


def repository(work: Path, bare: Path) -> None:
    """Make a repository with one commit, which any web server can serve."""
    run("git", "init", "-q", str(work))
    (work / "README").write_text("hello\n")
    run("git", "-C", str(work), "add", "README")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.test")
    run("git", "-C", str(work), *who, "commit", "-q", "-m", "first")
    run("git", "clone", "-q", "--bare", str(work), str(bare))
    run("git", "-C", str(bare), "update-server-info")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run *command* without settings of this machine, to its end."""
    kept = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_TERMINAL_PROMPT": "0"}
    return subprocess.run(
        command, env=kept, capture_output=True, text=True, timeout=30, check=False
    )


def by_curl(world: World, port: int, form: str, host: str) -> bool:
    proxy = f"http://127.0.0.1:{port}"
    options = {
        "host": ["-H", f"Host: {host}", f"{proxy}/page"],
        "absolute": ["-x", proxy, f"http://{host}/page"],
        "connect": ["-x", proxy, "--cacert", str(world.certs.bundle), f"https://{host}/page"],
    }
    done = run("curl", "-sS", "--fail", *options[form])
    assert (done.returncode == 0) is (done.stdout == "the page\n")
    if done.returncode:
        assert "403" in done.stderr
    return done.returncode == 0


def by_requests(world: World, port: int, form: str, host: str) -> bool:
    proxy = f"http://127.0.0.1:{port}"
    session = requests.Session()
    session.trust_env = False
    session.verify = str(world.certs.bundle)
    if form != "host":
        session.proxies = {"http": proxy, "https": proxy}
    url = f"{'https' if form == 'connect' else 'http'}://{host}/page"
    try:
        if form == "host":
            reply = session.get(f"{proxy}/page", headers={"Host": host}, timeout=30)
        else:
            reply = session.get(url, timeout=30)
    except requests.exceptions.ProxyError as error:
        return "403" not in str(error)
    finally:
        session.close()
    assert (reply.status_code, reply.text == "the page\n") in ((200, True), (403, False))
    return reply.status_code == 200


def by_git(world: World, port: int, form: str, host: str) -> bool:
    proxy = f"http://127.0.0.1:{port}"
    options = {
        "host": ["-c", f"http.extraHeader=Host: {host}", "clone", f"{proxy}/code.git"],
        "absolute": ["-c", f"http.proxy={proxy}", "clone", f"http://{host}/code.git"],
        "connect": [
            *("-c", f"http.proxy={proxy}", "-c", f"http.sslCAInfo={world.certs.bundle}"),
            *("clone", f"https://{host}/code.git"),
        ],
    }
    target = world.directory / f"clone-{port}-{form}-{host}"
    done = run("git", *options[form], str(target))
    if done.returncode:
        assert "403" in done.stderr
        return False
    assert (target / "README").read_text() == "hello\n"
    return True


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("by", [by_curl, by_requests, by_git])
def test_exactly_the_allowed_hosts_are_reached(world: World, by: object, form: str) -> None:
    assert callable(by)
    with Proxy(CONFIG.format(egress=RULES)) as proxy:
        reached = [one for one in (*ALLOWED, *DENIED) if by(world, proxy.port(), form, one)]
        assert reached == ALLOWED
    with Proxy(CONFIG.format(egress="egress: {}")) as proxy:
        assert [one for one in DENIED if by(world, proxy.port(), form, one)] == DENIED
