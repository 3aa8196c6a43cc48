"""What is said of files that are no certificates, no keys, or not of one another."""

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from meshproxy.config.pem import EncryptedKey, load_chain, why_no_certificates, why_no_key


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Write a certificate, keys that are its own, another's or encrypted, and other texts."""
    authority = trustme.CA()
    ours, others = authority.issue_cert("a.test"), authority.issue_cert("b.test")
    plain = ours.private_key_pem.bytes()
    certificate = ours.cert_chain_pems[0].bytes()
    contents = {
        "chain": b"".join(blob.bytes() for blob in ours.cert_chain_pems),
        "authority": authority.cert_pem.bytes(),
        "key": plain,
        "other": others.private_key_pem.bytes(),
        "encrypted": serialization.load_pem_private_key(plain, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(b"secret"),
        ),
        "damaged": certificate[:80] + b"!" + certificate[81:],
        "latin": b"# caf\xe9\n" + certificate,
        "text": b"nothing of the kind\n",
        "empty": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: str(tmp_path / name) for name in [*contents, "absent"]}


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("chain", None),
        ("authority", None),
        ("latin", None),
        ("absent", None),
        ("text", "holds no certificate in PEM"),
        ("empty", "holds no certificate in PEM"),
        ("key", "holds no certificate in PEM"),
        ("damaged", "is damaged"),
    ],
)
def test_certificates(files: dict[str, str], name: str, what: str | None) -> None:
    why = why_no_certificates(files[name])
    assert (why is None) == (what is None)
    assert why is None or (files[name] in why and why.endswith(str(what)))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("key", None),
        ("absent", None),
        ("other", "is not the key of the certificate in"),
        ("encrypted", "is encrypted, store the key without a password"),
        ("text", "holds no private key in PEM"),
        ("chain", "holds no private key in PEM"),
    ],
)
def test_keys(files: dict[str, str], name: str, what: str | None) -> None:
    why = why_no_key(files["chain"], files[name])
    assert (why is None) == (what is None)
    assert why is None or (why.startswith(files[name]) and str(what) in why)


def test_what_may_not_be_read_is_told(tmp_path: Path, files: dict[str, str]) -> None:
    assert why_no_certificates(str(tmp_path)) == f"{tmp_path} cannot be read: Is a directory"
    assert why_no_key(files["chain"], str(tmp_path)) is not None


def test_intermediates_are_loaded_behind_the_certificate(files: dict[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(context, files["latin"], files["key"], files["authority"])
    load_chain(context, files["chain"], files["key"], None)


def test_nobody_is_asked_for_a_password(files: dict[str, str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for more in (None, files["authority"]):
        with pytest.raises(EncryptedKey, match="without a password"):
            load_chain(context, files["chain"], files["encrypted"], more)
