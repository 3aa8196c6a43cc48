"""Access to a Kubernetes API server: without credentials, by service account, or kubeconfig.

The official client is imported only for the last two, and only for its credentials; a slim
installation lacks it.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import parse_url

from meshproxy.discovery.watching.api import authority


@dataclass(frozen=True, slots=True)
class Access:
    """A way to reach the API server, with the headers for authentication."""

    connection: Callable[[], HTTPConnection]
    """Makes a connection, not yet open; a connection in use is never shared or kept."""
    host: str
    """The Host of every request."""
    headers: Callable[[], Mapping[str, str]]
    """Returns the headers for authentication. Raises ValueError if there are no credentials."""


def anonymous(host: str, port: int) -> Access:
    """Returns access by plain HTTP to *host*, where a proxy adds the credentials."""
    return Access(lambda: HTTPConnection(host.strip("[]"), port), authority(host, port), dict)


def authenticated(
    auth: Literal["inCluster", "kubeconfig"], kubeconfig: str | None, context: str | None
) -> Access:
    """Returns access by TLS, or as the kubeconfig says, with a token renewed as it expires.

    Raises FileNotFoundError outside a cluster and without a kubeconfig file, and ValueError or
    OSError if the credentials cannot be read otherwise.
    """
    from kubernetes import client, config  # noqa: PLC0415 (a heavy import, for these kinds only)

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
        if auth == "inCluster":
            files = loaders.incluster_config.SERVICE_TOKEN_FILENAME
        else:
            files = kubeconfig or loaders.kube_config.KUBE_CONFIG_DEFAULT_LOCATION
        if any(Path(file).expanduser().exists() for file in files.split(os.pathsep)):
            raise ValueError(str(error)) from error
        what = f"auth: {auth} needs {files}, which is not here: {error}"
        raise FileNotFoundError(what) from error

    def headers() -> Mapping[str, str]:
        try:
            return _headers(settings)
        except config.ConfigException as error:  # a token that cannot be renewed
            raise ValueError(str(error)) from error

    url = parse_url(settings.host)
    return Access(lambda: _connection(settings), url.netloc or "", headers)


def _connection(settings: Any) -> HTTPConnection:
    url = parse_url(settings.host)
    host = (url.host or "").strip("[]")
    if url.scheme != "https":
        return HTTPConnection(host, url.port or 80)
    return HTTPSConnection(
        host,
        url.port or 443,
        cert_reqs="CERT_REQUIRED" if settings.verify_ssl else "CERT_NONE",
        ca_certs=settings.ssl_ca_cert,
        cert_file=settings.cert_file,
        key_file=settings.key_file,
        assert_hostname=settings.assert_hostname,
        server_hostname=settings.tls_server_name,
    )


def _headers(settings: Any) -> dict[str, str]:
    found = {
        setting["key"]: setting["value"].strip()
        for setting in settings.auth_settings().values()
        if setting["in"] == "header" and setting["value"]
    }
    if not all(value.isprintable() for value in found.values()):
        raise ValueError("the credentials hold a control character")
    return found
