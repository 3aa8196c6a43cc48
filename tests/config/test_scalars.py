import pytest

from meshproxy.config.cpus import usable_cpus
from meshproxy.config.files import FILES
from meshproxy.config.nodes import Scalar
from meshproxy.config.places import Mark
from meshproxy.config.scalars import (
    CONVERTERS,
    TYPE_NAMES,
    Ip,
    Port,
    Regex,
    WorkerCount,
    plain,
    show,
    unquoted,
)
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path


def bare(text: str) -> Scalar:
    return Scalar(Mark(1, 1), text, plain(text))


def quoted(text: str) -> Scalar:
    return Scalar(Mark(1, 1), text, text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None), ("~", None), ("null", None), ("Null", None),
        ("true", True), ("False", False), ("TRUE", True),
        ("0", 0), ("-1", -1), ("+7", 7), ("4140", 4140),
        ("1.5", 1.5), (".5", 0.5), ("1e3", 1000.0), ("2.", 2.0),
        ("yes", "yes"), ("off", "off"), ("y", "y"), ("0x10", "0x10"), ("0o7", "0o7"),
        ("010", "010"), ("1_000", "1_000"), ("12:30", "12:30"), ("1e999", "1e999"),
        ("2001-01-01", "2001-01-01"), (".inf", ".inf"), (".nan", ".nan"), ("<<", "<<"),
        ("9" * 31, "9" * 31), ("1٣", "1٣"),
    ],
)  # fmt: skip
def test_unquoted_text_stands_for(text: str, expected: object) -> None:
    assert plain(text) == expected
    assert type(plain(text)) is type(expected)


@pytest.mark.parametrize(
    ("wanted", "scalar", "expected"),
    [
        (int, bare("80"), 80),
        (float, bare("80"), 80.0),
        (float, bare("0.25"), 0.25),
        (bool, bare("false"), False),
        (str, bare("80"), "80"),
        (str, bare("true"), "true"),
        (Port, bare("0"), 0),
        (Port, bare("65535"), 65535),
        (WorkerCount, bare("1"), 1),
        (WorkerCount, bare("256"), 256),
        (WorkerCount, bare("auto"), usable_cpus()),
        (Ip, bare("::1"), "::1"),
        (Ip, bare("10.0.0.1"), "10.0.0.1"),
        (Path, bare("/svc/web"), Path.of("svc", "web")),
        (Dtab, bare("/a=>/b"), Dtab.parse("/a => /b")),
        (PathMatcher, bare("/#/*/{x}"), PathMatcher.parse("/#/*/{x}")),
        (Regex, bare("/admin/.*"), "/admin/.*"),
    ],
)
def test_a_scalar_becomes(wanted: object, scalar: Scalar, expected: object) -> None:
    assert CONVERTERS[wanted](scalar) == expected


@pytest.mark.parametrize(
    ("wanted", "scalar", "what"),
    [
        (int, quoted("80"), "expected an integer, found the text '80', write it without quotes"),
        (int, bare("80.5"), "expected an integer, found 80.5"),
        (int, bare("true"), "expected an integer, found true"),
        (int, bare("2147483648"), "2147483648 does not fit in 32 bits, write a smaller number"),
        (float, quoted("0.5"), "expected a number, found the text '0.5', write it without quotes"),
        (float, bare("half"), "expected a number, found the text 'half'"),
        (float, bare("true"), "expected a number, found true"),
        (bool, bare("yes"), "expected true or false, found the text 'yes'"),
        (bool, bare("1"), "expected true or false, found 1"),
        (Port, bare("65536"), "65536 is outside the valid range for ports, 0 to 65535"),
        (WorkerCount, bare("0"), "0 is not between 1 and 256 processes"),
        (WorkerCount, bare("257"), "257 is not between 1 and 256 processes"),
        (WorkerCount, bare("true"), "expected an integer, found true"),
        (
            WorkerCount,
            bare("many"),
            "expected a number of processes or `auto`, found the text 'many'",
        ),
        (Port, bare("-1"), "-1 is outside the valid range for ports, 0 to 65535"),
    ],
)
def test_a_scalar_of_another_type_is_refused(wanted: object, scalar: Scalar, what: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        CONVERTERS[wanted](scalar)
    assert str(caught.value) == what


@pytest.mark.parametrize(
    ("wanted", "text", "what"),
    [
        (Ip, "localhost", "expected an IPv4 or IPv6 address in full"),
        (Ip, "127.1", "expected an IPv4 or IPv6 address in full"),
        (Path, "svc", "write a path such as"),
        (Dtab, "/a => b", "write an entry such as"),
        (Regex, "(", "is not a regular expression"),
    ],
)
def test_malformed_text_is_refused(wanted: object, text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        CONVERTERS[wanted](bare(text))


def test_long_text_is_cut_when_shown() -> None:
    assert len(show(quoted("x" * 1000))) < 80


def test_quotes_may_be_dropped() -> None:
    assert unquoted(quoted("5")).value == 5


def test_every_type_has_a_name() -> None:
    assert TYPE_NAMES.keys() == CONVERTERS.keys() | FILES.keys()
