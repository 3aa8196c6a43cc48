"""Levels of loggers, seen and changed by the admin server."""

import json
import logging
from collections.abc import Iterator

import pytest

from meshproxy.admin.log_levels import levels, log_levels, log_levels_page
from meshproxy.admin.pages import AdminRequest, AdminResponse

NAME = "meshproxy.tests.<levels>"


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    one = logging.getLogger(NAME)
    one.setLevel(logging.WARNING)
    yield one
    one.setLevel(logging.NOTSET)


def post(body: str, query: str = "") -> AdminResponse:
    return log_levels(AdminRequest.of("POST", f"/logging.json{query}", body.encode()))


def test_the_levels_are_listed_with_the_root_logger() -> None:
    listed = json.loads(log_levels(AdminRequest("GET", "/logging.json")).body)
    found = {one["logger"]: one["level"] for one in listed}
    assert found == levels()
    assert found[NAME] == "WARNING"
    assert found["root"] == logging.getLevelName(logging.getLogger().level)


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ("logger=meshproxy.tests.%3Clevels%3E&level=DEBUG", ""),
        ("level=debug", "?logger=meshproxy.tests.%3Clevels%3E"),
    ],
)
def test_a_form_sets_a_level(logger: logging.Logger, body: str, query: str) -> None:
    assert post(body, query).status == 200
    assert logger.level == logging.DEBUG


def test_a_logger_that_takes_over_its_level_shows_that_one(logger: logging.Logger) -> None:
    below = logging.getLogger(f"{NAME}.below")
    post("logger=meshproxy.tests.%3Clevels%3E&level=error")
    assert (levels()[below.name], below.level) == ("ERROR", logging.NOTSET)
    assert logger.level == logging.ERROR


@pytest.mark.parametrize("body", ["", "logger=root", "level=INFO", "logger=&level=INFO"])
def test_a_form_without_both_fields_is_refused(body: str) -> None:
    assert post(body).status == 400


@pytest.mark.parametrize(
    "body", ["logger=nobody.knows&level=INFO", "logger=meshproxy.tests.%3Clevels%3E&level=LOUD"]
)
def test_what_is_not_known_changes_nothing_and_makes_no_logger(body: str) -> None:
    before = levels()
    got = post(body)
    assert (got.status, got.body[:15]) == (200, b"nothing changed")
    assert levels() == before


def test_no_other_method_changes_anything() -> None:
    got = log_levels(AdminRequest("PUT", "/logging.json", body=b"logger=root&level=DEBUG"))
    assert (got.status, got.headers) == (405, (("Allow", "GET, HEAD, POST"),))


def test_the_page_has_a_form_for_each_logger_that_leads_back_to_it(logger: logging.Logger) -> None:
    page = log_levels_page(can_set=True)
    assert page.count("<form ") == len(levels())
    assert 'value="meshproxy.tests.&lt;levels&gt;"' in page
    assert "<levels>" not in page
    got = post("from=page&logger=meshproxy.tests.%3Clevels%3E&level=ERROR")
    assert (got.status, got.headers) == (303, (("Location", "logging"),))
    assert logger.level == logging.ERROR


def test_levels_that_cannot_be_set_are_only_shown() -> None:
    page = log_levels_page(can_set=False)
    assert f"<td>root</td><td>{levels()['root']}</td>" in page
    assert "<form" not in page
