import re
from dataclasses import replace

import pytest

from meshproxy.admin.pages import (
    HTML,
    Action,
    Admin,
    AdminRequest,
    AdminResponse,
    failure,
    refuse_method,
    shown,
    text,
)
from meshproxy.admin.security import Security

INDEX = b"/\n/admin\n/admin/index.txt\n/help\n"


def get(admin: Admin, path: str) -> AdminResponse:
    return admin(AdminRequest("GET", path))


def test_a_target_is_taken_apart() -> None:
    got = AdminRequest.of("GET", "/admin/metrics.json?pretty=true&q=rt%2Fa&q=b&empty")
    assert got == AdminRequest(
        "GET", "/admin/metrics.json", {"pretty": "true", "q": "rt/a", "empty": ""}
    )
    assert got.is_set("pretty")
    assert not got.is_set("empty")
    assert not got.is_set("tree")


@pytest.mark.parametrize(
    ("target", "path"), [("//a/b", "//a/b"), ("http://web/b?c", "/b"), ("/[", "/["), ("//", "//")]
)
def test_the_path_of_a_target(target: str, path: str) -> None:
    assert AdminRequest.of("GET", target).path == path


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/a?" + "&".join(f"p{n}=1" for n in range(101)), id="too many parameters"),
        pytest.param("/a", id="none"),
        pytest.param("/a?", id="empty"),
    ],
)
def test_a_target_without_usable_parameters(target: str) -> None:
    assert AdminRequest.of("GET", target) == AdminRequest("GET", "/a")


def test_an_unknown_path_is_not_found() -> None:
    assert get(Admin({}), "/nowhere").status == 404


def test_head_is_answered_as_get() -> None:
    admin = Admin({"/a": lambda request: text(request.method)})
    assert admin(AdminRequest("HEAD", "/a")).body == b"GET"


@pytest.mark.parametrize(
    ("path", "found"), [("/a/", b"/a"), ("/a//", b"/a"), ("/admin/", INDEX), ("//", None)]
)
def test_slashes_at_the_end_make_no_other_path(path: str, found: bytes | None) -> None:
    admin = Admin({"/a": lambda request: text(request.path)})
    got = get(admin, path)
    assert got.status == 200
    assert found is None or got.body == found.replace(b"/admin\n", b"/a\n/admin\n")


def test_a_slash_at_the_end_opens_no_closed_page() -> None:
    admin = Admin({"/a": shown(lambda: (HTML, b""))}, Security(blacklist=["/a"]))
    assert get(admin, "/a/").status == 404


def test_a_closed_page_is_in_no_list() -> None:
    admin = Admin({"/a": shown(lambda: (HTML, b""))}, Security(blacklist=["/a"]))
    assert get(admin, "/admin").body == INDEX


def test_an_action_is_done_by_post_and_is_no_link_where_others_are() -> None:
    admin = Admin({"/do": Action(lambda _: text("done"))})
    assert admin(AdminRequest("POST", "/do")).body == b"done"
    got = get(admin, "/do")
    assert (got.status, got.headers) == (405, (("Allow", "POST"),))
    body = get(admin, "/help").body
    assert b"<td>/do</td>" in body
    assert b'"./do"' not in body


def test_a_form_is_read_before_parameters() -> None:
    request = AdminRequest.of("POST", "/a?one=1&two=2", b"two=%C3%BC&two=3&three=")
    assert request.form() == {"one": "1", "two": "\u00fc", "three": ""}
    many = "&".join(f"p{n}=1" for n in range(101))
    assert AdminRequest.of("POST", "/a?one=1", many.encode()).form() == {"one": "1"}


class Others:
    """Pages of another process."""

    def paths(self) -> list[str]:
        return ["/b", "/secret"]

    def __call__(self, request: AdminRequest) -> AdminResponse:
        return text(f"{request.method} {request.path}") if request.path == "/b" else failure(404)


def test_pages_elsewhere_are_listed_and_asked_for_unless_closed() -> None:
    admin = Admin({}, Security(blacklist=["/secret"]), Others())
    assert get(admin, "/admin").body == INDEX.replace(b"/help", b"/b\n/help")
    assert admin(AdminRequest("HEAD", "/b/")).body == b"GET /b"
    assert [get(admin, path).status for path in ("/b", "/secret", "/c")] == [200, 404, 404]


def test_a_page_is_read_only() -> None:
    admin = Admin({"/a": shown(lambda: (HTML, b"x"))})
    assert get(admin, "/a") == AdminResponse(b"x", HTML)
    got = admin(AdminRequest("POST", "/a"))
    assert (got.status, got.headers) == (405, (("Allow", "GET, HEAD"),))


def test_the_handler_sees_query_and_body() -> None:
    admin = Admin({"/a": lambda request: text(request.query["q"] + request.body.decode())})
    assert admin(AdminRequest("POST", "/a", {"q": "1"}, b"2")).body == b"12"


@pytest.mark.parametrize("path", ["/admin", "/admin/index.txt"])
def test_the_index_lists_every_path_in_order(path: str) -> None:
    admin = Admin({"/requests": shown(lambda: (HTML, b"")), "/config.json": refuse})
    assert get(admin, path).body == INDEX.replace(b"/help", b"/config.json\n/help\n/requests")


@pytest.mark.parametrize(
    ("path", "to"),
    [("/a/", "../a"), ("/a//", "../../a"), ("/b/c/?q=%2F", "../c?q=%2F"), ("//", "../")],
)
def test_a_browser_is_led_to_the_path_that_links_of_a_page_are_relative_to(
    path: str, to: str
) -> None:
    page = shown(lambda: (HTML, b"x"))
    admin = Admin({"/a": page, "/b/c": page})
    got = admin(replace(AdminRequest.of("GET", path), accept="text/html,*/*"))
    assert (got.status, got.headers) == (308, (("Location", to),))
    assert get(admin, path.partition("?")[0]).status == 200


FILE = re.compile(rb'(?:href|src)="(files/[^"]*)"')


@pytest.mark.parametrize("path", ["/", "/help"])
def test_pages_use_files_of_this_server_that_no_index_lists(path: str) -> None:
    admin = Admin({})
    found = FILE.findall(get(admin, path).body)
    assert b"files/style.css" in found
    kinds = {get(admin, f"/{file.decode()}").content_type.partition(";")[0] for file in found}
    assert kinds <= {"text/css", "text/javascript", "image/svg+xml"}
    assert b"/files/" not in get(admin, "/admin").body


def test_no_page_has_script_or_style_within_it() -> None:
    body = get(Admin({}), "/").body
    assert not re.search(rb"<style|<script>|<script [^>]*>[^<]|\s(style|on[a-z]+)=", body)


def refuse(_: AdminRequest) -> AdminResponse:
    return refuse_method("POST")
