"""Where the API of Kubernetes is, and whether it can be asked."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final, Literal

from meshproxy.config.errors import Problem

CLIENT_MISSING: Final = (
    "needs the Kubernetes client, which is not installed: pip install kubernetes"
)
_PROXY: Final = ("localhost", 8001)


def has_client() -> bool:
    """Returns True if credentials can be read here; imports nothing."""
    return find_spec("kubernetes") is not None


def problems(
    address: tuple[str, int],
    auth: Literal["inCluster", "kubeconfig"] | None,
    kubeconfig: str | None,
    context: str | None,
    written: str = "host and port",
) -> Iterable[Problem]:
    """Yields what is wrong with the keys that say where the API is; *written* are those of it."""
    if auth is not None and address != _PROXY:
        yield Problem(f"auth: {auth} says where the API is, remove {written}", "auth")
    if auth is not None and not has_client():
        yield Problem(CLIENT_MISSING, "auth")
    for name, value in (("kubeconfig", kubeconfig), ("context", context)):
        if value is not None and auth != "kubeconfig":
            yield Problem("needs auth: kubeconfig beside it", name)
