"""Loads certificates and keys in PEM files, and explains why others cannot be used."""

import ssl
import tempfile
from pathlib import Path
from typing import Final, NoReturn

_WITHOUT_CERTIFICATE: Final = "NO_CERTIFICATE_OR_CRL_FOUND"


class EncryptedKey(OSError):
    """A private key needs a password, and nobody is there to type it."""


def load_chain(
    context: ssl.SSLContext, cert_path: str, key_path: str, intermediate_certs_path: str | None
) -> None:
    """Loads a certificate with its intermediates and its key. Raises OSError (ssl.SSLError)."""
    if intermediate_certs_path is None:
        context.load_cert_chain(cert_path, key_path, _refuse_password)
        return
    with tempfile.NamedTemporaryFile(suffix=".pem") as joined:
        for path in (cert_path, intermediate_certs_path):
            joined.write(Path(path).read_bytes() + b"\n")
        joined.flush()
        context.load_cert_chain(joined.name, key_path, _refuse_password)


def why_no_certificates(path: str) -> str | None:
    """Returns why the certificates in *path* are unusable; None if they are not, or not there."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except FileNotFoundError:
        return None
    except ssl.SSLError as error:
        if error.reason == _WITHOUT_CERTIFICATE:
            return f"{path} holds no certificate in PEM"
        return f"a certificate in {path} is damaged"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def why_no_key(cert_path: str, key_path: str) -> str | None:
    """Returns why *key_path* is not the key of *cert_path*, a valid certificate; else None."""
    try:
        load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cert_path, key_path, None)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _reason(error, cert_path, key_path)
    return None


def _reason(error: OSError, cert_path: str, key_path: str) -> str:
    match error:
        case EncryptedKey():
            return f"{key_path} is encrypted, store the key without a password"
        case ssl.SSLError(reason=None):
            return f"{key_path} holds no private key in PEM"
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH"):
            return f"{key_path} is not the key of the certificate in {cert_path}"
        case ssl.SSLError():
            reason = error.reason.replace("_", " ").lower()
            return f"{key_path} and {cert_path} cannot be used: {reason}"
        case _:
            return f"{key_path} cannot be read: {error.strerror}"


def _refuse_password() -> NoReturn:
    """Refuses OpenSSL's question for a password, which would wait at the terminal."""
    raise EncryptedKey("the private key is encrypted, store it without a password")
