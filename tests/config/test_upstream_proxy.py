from pathlib import Path

import pytest

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.shown import to_json
from meshproxy.config.upstream_proxy import UpstreamProxyConfig


def decoded(text: str) -> tuple[UpstreamProxyConfig | None, list[str]]:
    findings = Findings("f")
    found = decode(UpstreamProxyConfig, parse(text, findings), findings)
    return found, [*map(str, findings.found)]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("parent-a.corp:3128", "parent-a.corp:3128"),
        ("Parent.Corp.:3128", "parent.corp:3128"),
        ("10.0.0.9:3128", "10.0.0.9:3128"),
        ("'[FD00:0::1]:3128'", "[fd00::1]:3128"),
    ],
)
def test_a_parent_is_a_host_and_a_port(written: str, address: str) -> None:
    found, problems = decoded(f"addresses: {written}")
    assert problems == []
    assert found is not None
    assert found.addresses == (address,)
    assert to_json(found) == {"addresses": [address]}


def test_no_parents_are_a_list_too() -> None:
    found, problems = decoded("addresses: []")
    assert (found, problems) == (UpstreamProxyConfig(addresses=()), [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("orDirect: true", "f:1:1: addresses: is missing"),
        ("addresses:", "f:1:1: addresses: is missing"),
        ("addresses: parent", "f:1:12: addresses: expected a host and a port such as"),
        ("addresses: http://a:80", "f:1:12: addresses: expected a host and a port such as proxy"),
        ("addresses: ['a:0']", "f:1:13: addresses[0]: 0 is not a port"),
        ("addresses: ['a:65536']", "f:1:13: addresses[0]: 65536 is not a port"),
        ("addresses: ['127.1:80']", "f:1:13: addresses[0]: 127.1 is not an IPv4 address"),
        ("addresses: ['[127.0.0.1]:80']", "f:1:13: addresses[0]: [127.0.0.1] is not an IPv6"),
        ("addresses: ['u:p@a:80']", "f:1:13: addresses[0]: expected a host and a port"),
        ("addresses: ['a:80', 'A:80']", "f:1:21: addresses[1]: is there twice"),
        (f"addresses: [{', '.join(f'a{n}:1' for n in range(17))}]", "f:1:1: addresses: 17 parents"),
        ("addresses: a:1\norDirect: maybe", "f:2:11: orDirect: expected true or false"),
        ("addresses: a:1\ncredentials: x", "f:2:1: credentials: unknown key, it is credentials"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, problem: str) -> None:
    _, problems = decoded(text)
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_file_of_credentials_is_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "parent"
    file.write_text("hush")
    _, problems = decoded(f"addresses: a:1\ncredentialsFile: {file}")
    assert problems == [f"f:2:1: credentialsFile: {file} holds no credentials, write user:password"]
    file.write_text("u:hush")
    found, problems = decoded(f"addresses: a:1\ncredentialsFile: {file}")
    assert problems == []
    assert "hush" not in repr(found)
