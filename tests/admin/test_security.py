"""Which pages a security block leaves open."""

import pytest

from meshproxy.admin.security import Security


@pytest.mark.parametrize(
    ("security", "path", "allowed"),
    [
        (Security(), "/admin/shutdown", True),
        (Security(control=False), "/admin/shutdown", False),
        (Security(control=False), "/admin/reload", False),
        (Security(control=False), "/admin/drain", False),
        (Security(control=False), "/admin/endpoint", False),
        (Security(ui=False), "/events.json", False),
        (Security(ui=False), "/discovery.json", False),
        (Security(control=False), "/ready", True),
        (Security(control=False), "/admin/metrics.json", True),
        (Security(ui=False), "/", False),
        (Security(ui=False), "/admin/files/a.css", False),
        (Security(ui=False), "/favicon.ico", False),
        (Security(ui=False), "/config.json", False),
        (Security(ui=False), "/admin/ping", True),
        (Security(diagnostics=False), "/admin/ping", False),
        (Security(diagnostics=False), "/", True),
        (Security(diagnostics=False), "/overview.json", True),
        (Security(ui=False), "/endpoints.json", False),
        (Security(diagnostics=False, whitelist=["/admin/p.*"]), "/admin/ping", True),
        (Security(diagnostics=False, whitelist=["/admin/p"]), "/admin/ping", False),
        (Security(blacklist=["/admin/ping"]), "/admin/ping", False),
        (Security(whitelist=["/.*"], blacklist=["/admin/.*"]), "/admin/ping", False),
    ],
)
def test_the_blacklist_goes_first_then_the_category_then_the_whitelist(
    security: Security, path: str, allowed: bool
) -> None:
    assert security.allows(path) is allowed
