from meshproxy.config.errors import ConfigError, ConfigErrors, Findings, Severity
from meshproxy.config.places import Mark


def test_an_error_is_one_line_with_its_place() -> None:
    error = ConfigError("l5d.yaml", Mark(4, 7), "admin.port", "too large, write less")
    assert str(error) == "l5d.yaml:4:7: admin.port: too large, write less"
    assert str(ConfigError("l5d.yaml", Mark(1, 1), "", "empty")) == "l5d.yaml:1:1: empty"


def test_errors_come_in_the_order_of_the_file() -> None:
    late = ConfigError("f", Mark(9, 1), "b", "late")
    early = ConfigError("f", Mark(2, 5), "a", "early")
    errors = ConfigErrors([late, early])
    assert errors.errors == (early, late)
    assert str(errors) == "f:2:5: a: early\nf:9:1: b: late"


def test_findings_are_chosen_by_severity() -> None:
    findings = Findings("f")
    findings.add(Mark(2, 1), "b", "bad")
    findings.add(Mark(1, 1), "a", "odd", Severity.WARNING)
    findings.add(Mark(3, 1), "c", "gone", Severity.MISSING)
    assert [error.path for error in findings.of(Severity.WARNING)] == ["a"]
    assert [error.path for error in findings.of(Severity.ERROR, Severity.MISSING)] == ["b", "c"]
