import pytest

from meshproxy.admin.pages import (
    HTML,
    Admin,
    AdminRequest,
    AdminResponse,
    refuse_method,
    shown,
    text,
)


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
    assert get(admin, path).body == b"/\n/admin\n/admin/index.txt\n/config.json\n/requests\n"


def test_the_front_page_links_every_path_and_escapes_it() -> None:
    body = get(Admin({'/<"x">': refuse}), "/").body.decode()
    assert '<a href="/%3C%22x%22%3E">/&lt;&quot;x&quot;&gt;</a>' in body
    assert '<a href="/admin/index.txt">' in body


def test_pages_are_styled_by_a_sheet_that_no_index_lists() -> None:
    admin = Admin({})
    assert b'<link rel="stylesheet" href="files/style.css">' in get(admin, "/").body
    assert get(admin, "/files/style.css").content_type == "text/css; charset=utf-8"
    assert b"style.css" not in get(admin, "/admin").body


def refuse(_: AdminRequest) -> AdminResponse:
    return refuse_method("POST")
