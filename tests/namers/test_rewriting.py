"""The rewriting namers: what each takes apart, and what is negative."""

import pytest

from meshproxy.namers.rewriting import REWRITERS
from meshproxy.naming.path import Path


def rewrite(name: str, path: str) -> str | None:
    found = REWRITERS[f"io.buoyant.{name}".encode()](Path.parse(path))
    return None if found is None else found.show()


LONGEST = "p" * 63
BRACKETED = r"/p/\x5b\x3a\x3a\x31\x5d"
"""A prefix and `[::1]`."""


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/p/h:80", "/p/80/h"),
        ("/p/h:80:", "/p/80/h"),
        ("/p/h:80::", "/p/80/h"),
        ("/p/h:80/etc/x", "/p/80/h/etc/x"),
        ("/p/H.x:http-8", "/p/http-8/H.x"),
        ("/p/h:8-", "/p/8-/h"),
        (f"/p/h:{LONGEST}", f"/p/{LONGEST}/h"),
        (f"/p/h:{LONGEST}p", None),
        (r"/p/a\x20b:80", r"/p/80/\x61\x20\x62"),
        ("/p/h:", None),
        ("/p/:", None),
        ("/p/h", None),
        ("/p/h::80", None),
        ("/p/a:b:c", None),
        ("/p/h:HTTP", None),
        ("/p/h:-8", None),
        ("/p/h:a_b", None),
        (BRACKETED + r"\x3a443", "/p/443/::1"),
        (BRACKETED + r"\x3ahttp/x", "/p/http/::1/x"),
        (BRACKETED, None),
        (BRACKETED + r"\x3a", None),
        (BRACKETED + r"x\x3a443", None),
        (BRACKETED + r"\x3aHTTP", None),
        ("/p/::1:443", None),
        ("/p", None),
    ],
)
def test_port_before_host(path: str, result: str | None) -> None:
    assert rewrite("porthostPfx", path) == result


def test_host_before_port() -> None:
    assert rewrite("hostportPfx", "/p/h:80/x") == "/p/h/80/x"
    assert rewrite("hostportPfx", "/p/h") is None
    assert rewrite("hostportPfx", BRACKETED + r"\x3a80/x") == "/p/::1/80/x"


@pytest.mark.parametrize("port", ["", r"\x3a80"])
def test_an_ipv6_address_is_a_host_without_domains(port: str) -> None:
    host = r"\x5b\x3a\x3a1.2.3.4\x5d" + port
    shown = Path.parse(f"/{host}").show()
    assert rewrite("http.anyHost", f"/{host}/x") == "/x"
    assert rewrite("http.anyHostPfx", f"/p/{host}/x") == "/p/x"
    assert rewrite("http.domainToPath", f"/{host}/x") == f"{shown}/x"
    assert rewrite("http.domainToPathPfx", f"/p/{host}/x") == f"/p{shown}/x"
    assert rewrite("http.subdomainOf", f"/4/{host}") is None
    assert rewrite("http.anyHost", r"/\x5b\x3a\x3a1/x") is None


@pytest.mark.parametrize("name", ["hostportPfx", "porthostPfx"])
def test_a_port_without_a_host_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        rewrite(name, "/p/:80")


@pytest.mark.parametrize(
    ("name", "path", "result"),
    [
        ("http.anyMethod", "/GET/x/y", "/x/y"),
        ("http.anyMethod", "/GET", "/"),
        ("http.anyMethod", "/Get/x", None),
        ("http.anyMethod", "/M-SEARCH/x", None),
        ("http.anyMethodPfx", "/p/GET/x", "/p/x"),
        ("http.anyMethodPfx", "/p/get/x", None),
        ("http.anyMethodPfx", "/GET", None),
        ("http.anyHost", "/h.example:80/x", "/x"),
        ("http.anyHost", r"/h\x20/x", None),
        ("http.anyHostPfx", "/p/h_1/x", "/p/x"),
        ("http.anyHostPfx", "/p/%/x", None),
    ],
)
def test_dropping_a_method_or_a_host(name: str, path: str, result: str | None) -> None:
    assert rewrite(name, path) == result


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/d.com/web.d.com/x", "/web/x"),
        ("/d.com/x.y.d.com", "/x.y"),
        ("/d.com/web.d.com:80/x", "/web/x"),
        ("/d.com/web.d.com:80:81", "/web"),
        ("/d.com/d.com", None),
        ("/d.com/.d.com", None),
        ("/d.com/webd.com", None),
        ("/d.com/web.D.com", None),
        ("/d.com:80/web.d.com:80", None),
        ("/d.com/:web.d.com", "/:web"),
        ("/d%/web.d%", None),
        ("/d.com/web$.d.com", None),
        ("/d.com", None),
    ],
)
def test_subdomains(path: str, result: str | None) -> None:
    assert rewrite("http.subdomainOf", path) == result


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/d.com/p/web.d.com/x", "/p/web/x"),
        ("/d.com/p/web.e.com/x", None),
        ("/d.com/p", None),
    ],
)
def test_subdomains_behind_a_prefix(path: str, result: str | None) -> None:
    assert rewrite("http.subdomainOfPfx", path) == result


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/a.b.c/x", "/c/b/a/x"),
        ("/a.b:80", "/b:80/a"),
        ("/a.b.", "/b/a"),
        ("/a", "/a"),
        ("/a%b", None),
    ],
)
def test_domains_become_paths(path: str, result: str | None) -> None:
    assert rewrite("http.domainToPath", path) == result
    prefixed = rewrite("http.domainToPathPfx", f"/p{path}")
    assert prefixed == (None if result is None else f"/p{result}")


@pytest.mark.parametrize("host", [".a", "a..b", "a..", ".", ".."])
def test_an_empty_label_in_a_domain_is_an_error(host: str) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        rewrite("http.domainToPath", f"/{host}/x")
