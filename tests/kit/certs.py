"""A certificate authority of the test's own."""

import ssl
from datetime import datetime
from pathlib import Path

import trustme


class Certs:
    """An authority whose files lie under *directory*."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca = trustme.CA()
        self.bundle = directory / "ca.pem"
        """The file that trusts this authority alone."""
        self._ca.cert_pem.write_to_path(self.bundle)

    def files(
        self, *names: str, common_name: str | None = None, until: datetime | None = None
    ) -> tuple[Path, Path]:
        """Issue a certificate for *names*; the chain and the key, as files."""
        issued = self._ca.issue_cert(*names, common_name=common_name, not_after=until)
        first = (*names, common_name)[0]
        chain, key = (self._directory / f"{first}.{end}" for end in ("crt", "key"))
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return chain, key

    def server(
        self,
        *names: str,
        ask_for_client: bool = False,
        common_name: str | None = None,
        until: datetime | None = None,
    ) -> ssl.SSLContext:
        """Return a server's context with a certificate for *names*."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(*names, common_name=common_name, until=until))
        if ask_for_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self._ca.configure_trust(context)
        return context

    def client(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._ca.configure_trust(context)
        return context
