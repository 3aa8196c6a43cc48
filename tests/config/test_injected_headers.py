from pathlib import Path

import pytest

from meshproxy.config.client import GlobalClientConfig
from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings


def problems_of(text: str) -> list[str]:
    findings = Findings("f")
    decode(GlobalClientConfig, parse(text, findings), findings)
    return [*map(str, findings.found)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("hush\n")
    return path


def test_a_header_has_a_name_a_file_and_a_prefix(file: Path) -> None:
    text = f"injectHeaders: [{{name: Authorization, file: {file}, prefix: 'Bearer '}}]"
    assert problems_of(text) == []


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("name: 'a b', file: {}", "injectHeaders[0].name: 'a b' cannot be the name of a header"),
        ("name: ü, file: {}", "injectHeaders[0].name: 'ü' cannot be the name of a header"),
        ("name: Host, file: {}", "injectHeaders[0].name: Host is the proxy's own to set"),
        ("name: content-length, file: {}", "injectHeaders[0].name: content-length is the proxy's"),
        ("name: Transfer-Encoding, file: {}", "injectHeaders[0].name: Transfer-Encoding is the"),
        ("name: l5d-dtab, file: {}", "injectHeaders[0].name: l5d-dtab is the proxy's own"),
        ('name: A, file: {}, prefix: "x\\r\\n"', "injectHeaders[0].prefix: may have printable"),
        ("name: A, file: {}, prefix: ü", "injectHeaders[0].prefix: may have printable ASCII"),
        ("name: A, value: hush", "injectHeaders[0].value: unknown key, it is file"),
        ("name: A", "injectHeaders[0].file: is missing"),
    ],
)
def test_what_no_header_may_be_is_refused(file: Path, written: str, problem: str) -> None:
    found = problems_of(f"injectHeaders: [{{{written.format(file)}}}]")
    assert any(one.partition(": ")[2].startswith(problem) for one in found)
    assert all(one.startswith("f:1:") for one in found)
    assert "hush" not in "".join(found)


def test_two_headers_of_one_name_are_refused(file: Path) -> None:
    found = problems_of(
        f"injectHeaders:\n- {{name: X-Key, file: {file}}}\n- {{name: x-key, file: {file}}}"
    )
    assert found == ["f:3:4: injectHeaders[1].name: x-key is there twice, remove one"]


def test_a_file_without_a_value_is_refused_and_not_shown(file: Path) -> None:
    file.write_text("hush\nhush\n")
    (found,) = problems_of(f"injectHeaders: [{{name: A, file: {file}}}]")
    assert found.startswith(f"f:1:27: injectHeaders[0].file: {file} has a control character")
    assert "hush" not in found
    file.unlink()
    (found,) = problems_of(f"injectHeaders: [{{name: A, file: {file}}}]")
    assert "is not a file" in found


def test_a_source_address_is_an_address() -> None:
    assert problems_of("sourceAddress: 10.0.0.7") == []
    (found,) = problems_of("sourceAddress: here")
    assert found.startswith("f:1:16: sourceAddress: expected an IPv4 or IPv6 address")
