"""The connection that a request came in on, and the certificate that was presented on it."""

from typing import NamedTuple, Protocol


class Certificate(NamedTuple):
    """A client's verified certificate, as the ssl module reads it."""

    der: bytes
    subject: tuple[tuple[tuple[str, str], ...], ...] = ()
    """Parts of the name in the certificate's order, each with one or more pairs."""
    names: tuple[tuple[str, str], ...] = ()
    """Alternative names: pairs of kind (`DNS`, `URI`, ...) and name."""


class Peer(Protocol):
    """The two ends of the connection that a request came in on."""

    remote: str
    local: str

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that the client presented in TLS, if it had to."""
        ...
