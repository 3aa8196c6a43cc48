"""`meshproxy explain`: the steps of a name, from a configuration that nobody serves."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_main import said
from tests.kit.downstream import Answer, Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import get

CONFIG = """
admin: {{port: 0}}
namers: [{{kind: io.l5d.fs, rootDir: {names}}}]
routers:
- protocol: http
  label: egress
  dtab: |
    /fs => /#/io.l5d.fs ;
    /svc => /fs ;
    /svc/split => 3 * /fs/web & 1 * /fs/empty ;
  service: {{kind: io.l5d.static, configs: [{{prefix: /svc, totalTimeoutMs: 500}}]}}
  client:
    kind: io.l5d.static
    configs:
    - {{prefix: /, loadBalancer: {{kind: ewma}}}}
    - prefix: "/#/io.l5d.fs/{{name}}"
      tls: {{commonName: "{{name}}.test", disableValidation: true}}
  servers: [{{port: 0}}]
- protocol: http
  label: other
  dtab: /svc => /nowhere
  servers: [{{port: 0}}]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    names = tmp_path / "names"
    names.mkdir()
    (names / "web").write_text("127.0.0.1 8080\n")
    (names / "empty").write_text("")
    config = tmp_path / "a.yaml"
    config.write_text(CONFIG.format(names=names))
    return str(config)


def test_a_name_that_leads_to_an_endpoint(capsys: pytest.CaptureFixture[str], file: str) -> None:
    status, output, errors = said(capsys, "explain", file, "/svc/web")
    assert (status, errors) == (0, "")
    assert output.splitlines() == [
        "/svc/web",
        f"  /fs/web  (/svc => /fs, {file}:9:5)",
        f"    /#/io.l5d.fs/web  (/fs => /#/io.l5d.fs, {file}:8:5)",
        "      /#/io.l5d.fs/web  (/#/io.l5d.fs says): bound to /#/io.l5d.fs/web, 127.0.0.1:8080",
        "",
        "Settings of the service:",
        "  totalTimeoutMs: 500  (from /svc)",
        "",
        "Client /#/io.l5d.fs/web:",
        "  all requests",
        "  balancer ewma, breaker io.l5d.consecutiveFailures, TLS for web.test, not verified",
        "  loadBalancer: {kind: ewma}  (from /)",
        "  tls: {disableValidation: true, commonName: {name}.test}  (from /#/io.l5d.fs/{name})",
        "    127.0.0.1:8080, weight 1",
        "leads to an endpoint",
    ]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["/svc/none"], ["      /#/io.l5d.fs/none  (/#/io.l5d.fs says): no such name"]),
        (
            ["--dtab", "/svc/web => !", "/svc/web"],
            ["  /svc/web  (/svc/web => !): fails, and no other entry is tried"],
        ),
        (
            ["--dtab", "/svc/web => $", "/svc/web"],
            ["  /svc/web  (/svc/web => $): no endpoints, and no other entry is tried"],
        ),
        (["/svc/split"], ["  75% of the requests", "  25% of the requests", "  no endpoints"]),
    ],
)
def test_trees_and_shares_are_in_words(
    capsys: pytest.CaptureFixture[str], file: str, words: list[str], lines: list[str]
) -> None:
    output = said(capsys, "explain", file, *words)[1].splitlines()
    assert [line for line in lines if line not in output] == []


@pytest.mark.parametrize(
    ("words", "end"),
    [
        (["/svc/empty"], "bound to /#/io.l5d.fs/empty, which has no endpoints"),
        (["/svc/none"], "/#/io.l5d.fs says: no such name"),
        (
            ["--router", "other", "/svc/web"],
            "/nowhere/web (/svc => /nowhere, {}:21:9): no dtab entry and no namer has this name",
        ),
        (["--dtab", "/svc/web => !", "/svc/web"], "/svc/web (/svc/web => !): ended by !"),
    ],
)
def test_a_name_that_leads_nowhere_says_where_it_ended(
    capsys: pytest.CaptureFixture[str], file: str, words: list[str], end: str
) -> None:
    status, output, errors = said(capsys, "explain", file, *words)
    assert (status, errors, output.splitlines()[-1]) == (1, "", "leads nowhere")
    assert end.format(file) in output.partition("Ends that lead nowhere:\n")[2]


def test_a_union_leads_on_if_one_of_it_does(capsys: pytest.CaptureFixture[str], file: str) -> None:
    status, output, _ = said(capsys, "explain", file, "--json", "/svc/split")
    found = json.loads(output)
    assert (status, found["router"], found["bound"]) == (0, "egress", True)
    (union, *_) = found["tree"]["alt"]
    assert [one["weight"] for one in union["union"]] == [3, 1]
    assert [(one["id"], one["share"]) for one in found["clients"]] == [
        ("/#/io.l5d.fs/web", 0.75),
        ("/#/io.l5d.fs/empty", 0.25),
    ]


def test_a_request_is_named_and_its_table_comes_last(
    capsys: pytest.CaptureFixture[str], file: str
) -> None:
    field = "l5d-dtab: /svc/web => /fs/empty"
    asked = ["--request", "GET http://web/a?b", "--header", field, "--header", "x-other: 1"]
    status, output, _ = said(capsys, "explain", file, *asked)
    assert status == 1
    assert "GET /a?b, Host: web\n  named /svc/web\n" in output
    assert "/fs/empty  (/svc/web => /fs/empty)" in output
    status, output, _ = said(capsys, "explain", file, "--request", "POST http://web/", "--json")
    found = json.loads(output)
    assert (status, found["path"], found["request"]["method"]) == (0, "/svc/web", "POST")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--router", "none", "/svc/web"], "There is no router none"),
        (["svc"], "Invalid path: "),
        (["--dtab", "/svc", "/svc/web"], "Invalid dtab: "),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    capsys: pytest.CaptureFixture[str], file: str, words: list[str], why: str
) -> None:
    status, output, errors = said(capsys, "explain", file, *words)
    assert (status, output, errors.count("\n"), why in errors) == (1, "", 1, True)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["{file}"],
        ["{file}", "/svc/a", "/svc/b"],
        ["{file}", "--request", "one two three"],
        ["{file}", "--request", "GET /", "--header", "no field"],
        ["{file}", "--all", "{file}", "--request", "GET http://web/"],
    ],
)
def test_a_command_line_that_cannot_be_read(
    capsys: pytest.CaptureFixture[str], file: str, words: list[str]
) -> None:
    status, output, errors = said(capsys, "explain", *(word.format(file=file) for word in words))
    assert (status, output, errors.count("\n")) == (2, "", 1)


# --- a running proxy ---


@pytest.fixture
def proxy(file: str) -> Iterator[Proxy]:
    with Proxy(Path(file).read_text()) as running:
        yield running


def admin(proxy: Proxy) -> list[str]:
    return ["--admin", f"http://127.0.0.1:{proxy.linker.admin_port}/"]


def test_a_running_proxy_tells_of_its_endpoints(
    capsys: pytest.CaptureFixture[str], proxy: Proxy, file: str
) -> None:
    assert get(proxy.port("egress"), "web").status == 502
    for words in (["/svc/web"], [file, "/svc/web"]):
        status, output, _ = said(capsys, "explain", *admin(proxy), *words)
        assert status == 0
        assert "127.0.0.1:8080, weight 1, alive, 0 pending, EWMA " in output


def test_names_that_a_running_proxy_has_served_are_compared(
    capsys: pytest.CaptureFixture[str], proxy: Proxy, file: str, tmp_path: Path
) -> None:
    for host in ("web", "none"):
        get(proxy.port("egress"), host)
    other = tmp_path / "b.yaml"
    other.write_text(Path(file).read_text().replace("/svc => /fs ;", "/svc => /fs/empty ;"))
    status, output, _ = said(capsys, "explain", *admin(proxy), "--all", str(other))
    assert status == 1
    assert output.splitlines() == [
        "/svc/none: nowhere -> /#/io.l5d.fs/empty with /none",
        "/svc/web: /#/io.l5d.fs/web -> /#/io.l5d.fs/empty with /web",
        "2 of 2 names go elsewhere",
    ]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(404, b"There is no router x"), "the answer has status 404: There is no router x"),
        (Answer(200, b"[]"), "this is not an explanation of meshproxy's"),
    ],
)
def test_an_answer_that_is_none_is_one_line(
    capsys: pytest.CaptureFixture[str], answer: Answer, why: str
) -> None:
    with Downstream(lambda _: answer) as other:
        url = f"http://127.0.0.1:{other.port}"
        status, output, errors = said(capsys, "explain", "--admin", url, "/svc/web")
    assert (status, output, errors.count("\n"), why in errors) == (1, "", 1, True)
