"""The command line: what it prints where, and the status it ends with."""

import io
import json
from pathlib import Path

import pytest

from meshproxy import __version__
from meshproxy.cli import shipped
from meshproxy.cli.commands import COMMANDS, SERVE
from meshproxy.cli.main import main
from tests.e2e.test_command import run
from tests.e2e.test_routing import config
from tests.kit.downstream import Downstream

BROKEN = """routers:
- protocol: http
  dtabb: /svc => /x
  dtab: /svc => x
  servers:
  - port: 80000
"""


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return status, standard output and standard error of the command."""
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(str(ended.code))
    output, errors = capsys.readouterr()
    return status, output, errors


@pytest.fixture
def good(tmp_path: Path) -> str:
    file = tmp_path / "good.yaml"
    file.write_text(config(1))
    return str(file)


def feed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--version") == (0, f"meshproxy {__version__}\n", "")


def test_the_help_has_commands_statuses_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    status, output, _ = said(capsys, "--help")
    assert status == 0
    assert all(part in output for part in ("meshproxy check CONFIG", "exit status", "example:"))


def test_an_option_is_of_its_command_alone(capsys: pytest.CaptureFixture[str]) -> None:
    status, output, errors = said(capsys, "--verbose", "a")
    assert (status, output) == (2, "")
    assert errors.startswith(
        "meshproxy: --verbose is not an option of serve, did you mean --version?"
    )


def test_each_command_has_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        status, output, _ = said(capsys, name, "--help")
        assert status == 0
        assert output.startswith(f"usage: meshproxy {name}".removesuffix(f" {SERVE}"))


def test_a_command_is_found_behind_options_and_their_values(
    capsys: pytest.CaptureFixture[str], good: str
) -> None:
    assert said(capsys, "--log-level", "error", "check", good) == (0, "ok\n", "")
    assert said(capsys, "check", good, "--log-format", "json") == (0, "ok\n", "")


def test_a_file_may_be_called_as_a_command_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(capsys, "--", "check")[::2] == (
        1,
        "meshproxy: check: no such file, did you mean meshproxy check?\n",
    )


@pytest.mark.parametrize("name", shipped.names())
def test_a_shipped_file_is_printed_as_it_is(capsys: pytest.CaptureFixture[str], name: str) -> None:
    conf = Path(__file__).parent.parent.parent / "conf"
    (file,) = [
        one for one in conf.rglob("*") if str(one) in {f"{conf}/{name}.yaml", f"{conf}/{name}"}
    ]
    assert said(capsys, "--print-config", name) == (0, file.read_text(), "")


def test_who_asks_for_a_file_that_is_not_shipped_is_told_those_that_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, output, errors = said(capsys, "--print-config", "egres")
    assert (status, output) == (2, "")
    assert [name for name in shipped.names() if name not in errors] == []


@pytest.mark.parametrize(
    "words",
    [["check"], ["--log-level", "loud", "a"]],
)
def test_a_command_line_that_cannot_be_read_is_2(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    status, output, errors = said(capsys, *words)
    assert (status, output) == (2, "")
    assert "usage: meshproxy" in errors


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["chekc", "x"], "chekc is not a command, did you mean meshproxy check?"),
        (
            ["Completions", "bash"],
            "Completions is not a command, did you mean meshproxy completion?",
        ),
        (["help", "check"], "help is not a command, did you mean meshproxy --help?"),
        (["a.yaml", "b.yaml"], "b.yaml is one word too many, see meshproxy serve --help"),
        (["check", "a", "b"], "b is one word too many, see meshproxy check --help"),
        (
            ["--nonsense", "a"],
            "--nonsense is not an option of serve, known here: --help, --log-format",
        ),
        (["check", "--verbos", "a"], "--verbos is not an option of check, did you mean --verbose?"),
    ],
)
def test_a_word_that_is_not_taken_is_one_line_with_a_suggestion(
    capsys: pytest.CaptureFixture[str], words: list[str], what: str
) -> None:
    status, output, errors = said(capsys, *words)
    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"meshproxy: {what}")


def test_a_good_file_is_ok(capsys: pytest.CaptureFixture[str], good: str) -> None:
    assert said(capsys, "check", good) == (0, "ok\n", "")


@pytest.mark.parametrize("order", [["check", "-v"], ["-v", "check"]])
def test_more_is_said_when_asked(
    capsys: pytest.CaptureFixture[str], good: str, order: list[str]
) -> None:
    status, output, errors = said(capsys, *order, good)
    assert status == 0
    assert "header_bytes: 8192" in output
    assert output.endswith("ok\n")
    assert errors == ""


def test_standard_input_may_be_yaml_or_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    router = {"protocol": "http", "dtab": "/svc => /$/inet/a/80", "servers": [{"port": 0}]}
    for text in (config(1), json.dumps({"routers": [router]})):
        feed(monkeypatch, text)
        assert said(capsys, "check", "-") == (0, "ok\n", "")


def test_every_error_is_printed_with_its_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, BROKEN)
    status, output, errors = said(capsys, "check", "-")
    places = [line.partition(": ")[0] for line in errors.splitlines()]
    assert (status, output) == (1, "")
    assert places[0] == "<stdin>:3:3"
    assert [place.split(":")[1] for place in places] == ["3", "4", "6"]


@pytest.mark.parametrize("words", [[], ["check"]], ids=["serve", "check"])
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("help", "no such file, did you mean meshproxy --help?"),
        ("chekc", "no such file, did you mean meshproxy check?"),
        ("conf/egres.yaml", "no such file, did you mean conf/egress.yaml?"),
        ("Conf", "no such file, did you mean conf?"),
        ("none/at/all.yaml", "no such file, see meshproxy --help"),
        ("conf", "is a directory, name a file in it, such as conf/dns.yaml"),
        ("empty", "is a directory, name a file"),
        ("conf/egress.yaml/x", "cannot be read: Not a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_with_a_suggestion(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    name: str,
    what: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for directory in ("conf", "empty"):
        Path(directory).mkdir()
    for file in ("dns.yaml", "egress.yaml"):
        Path("conf", file).touch()
    assert said(capsys, *words, name) == (1, "", f"meshproxy: {name}: {what}\n")


@pytest.mark.parametrize("words", [[], ["check"]], ids=["serve", "check"])
def test_a_byte_that_is_not_utf_8_has_its_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes("routers:\r\n- é ".encode() + "é".encode("latin-1") + b"\n")
    what = "the byte 0xe9 is not UTF-8, save the file as UTF-8"
    assert said(capsys, *words, str(file)) == (1, "", f"{file}:2:5: {what}\n")


def test_a_trust_bundle_that_is_no_certificate_is_found_by_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate\n")
    file = tmp_path / "tls.yaml"
    file.write_text(config(1, f"  client: {{tls: {{commonName: x, trustCertsBundle: {bad}}}}}"))
    status, output, errors = said(capsys, "check", str(file))
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"{file}:7:33: routers[0].client.tls.trustCertsBundle: {bad} holds")


@pytest.mark.parametrize("taken", ["server", "admin"])
def test_a_port_in_use_is_one_clear_line(tmp_path: Path, taken: str) -> None:
    with Downstream(lambda _: b"") as other:
        free = "- {port: 0," if taken == "server" else "ip: 127.0.0.1, port: 0}"
        file = tmp_path / "taken.yaml"
        file.write_text(config(1).replace(free, free.replace("port: 0", f"port: {other.port}")))
        ran = run(str(file))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"meshproxy: {file}: cannot listen on 127.0.0.1:{other.port}: Address already in use\n"
    )
