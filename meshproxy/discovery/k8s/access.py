"""Ways into a Kubernetes API server: none needed, a pod's service account, or a kubeconfig.

The official client is imported only for the last two, and only for its credentials.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import urllib3

_MAX_CONNECTIONS: Final = 8
"""Idle connections kept for the next list; a watch takes one of its own."""


@dataclass(frozen=True, slots=True)
class Access:
    """Connections to the API server, and the headers that prove who asks."""

    pool: urllib3.HTTPConnectionPool
    headers: Callable[[], Mapping[str, str]]


def anonymous(host: str, port: int) -> Access:
    """Return plain HTTP to *host*, where a proxy adds the credentials."""
    pool = urllib3.HTTPConnectionPool(host.strip("[]"), port, maxsize=_MAX_CONNECTIONS)
    return Access(pool, dict)


def authenticated(
    auth: Literal["inCluster", "kubeconfig"], kubeconfig: str | None, context: str | None
) -> Access:
    """Return TLS, or what the kubeconfig says, with a token that is renewed as it expires.

    Raises ValueError or OSError when the credentials cannot be had.
    """
    from kubernetes import client, config  # noqa: PLC0415 (1.5 s and 60 MB, for these kinds only)

    settings: Any = client.Configuration()
    loaders: Any = config
    try:
        if auth == "inCluster":
            loaders.load_incluster_config(client_configuration=settings)
        else:
            loaders.load_kube_config(
                config_file=kubeconfig, context=context, client_configuration=settings
            )
    except config.ConfigException as error:
        raise ValueError(str(error)) from error
    return Access(_pool(settings), lambda: _headers(settings))


def _pool(settings: Any) -> urllib3.HTTPConnectionPool:
    url = urllib3.util.parse_url(settings.host)
    host, port = (url.host or "").strip("[]"), url.port
    if url.scheme != "https":
        return urllib3.HTTPConnectionPool(host, port, maxsize=_MAX_CONNECTIONS)
    return urllib3.HTTPSConnectionPool(
        host,
        port,
        maxsize=_MAX_CONNECTIONS,
        cert_reqs="CERT_REQUIRED" if settings.verify_ssl else "CERT_NONE",
        ca_certs=settings.ssl_ca_cert,
        cert_file=settings.cert_file,
        key_file=settings.key_file,
        assert_hostname=settings.assert_hostname,
        server_hostname=settings.tls_server_name,
    )


def _headers(settings: Any) -> dict[str, str]:
    return {
        setting["key"]: setting["value"]
        for setting in settings.auth_settings().values()
        if setting["in"] == "header" and setting["value"]
    }
