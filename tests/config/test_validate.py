import pytest

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import read

HTTP = "protocol: http"


def problems(text: str) -> tuple[list[str], list[str]]:
    """Say the errors and the warnings of *text*, without the file's name."""
    try:
        loaded = read(text, "f")
    except ConfigErrors as errors:
        return [str(error).removeprefix("f:") for error in errors.errors], []
    return [], [str(error).removeprefix("f:") for error in loaded.warnings]


def test_there_must_be_a_router() -> None:
    what = "At least one router must be specified in the configuration."
    assert problems("routers: []") == ([f"1:1: routers: {what}"], [])
    assert problems("routers:\n") == (["1:1: routers: is missing, it must be written"], [])


@pytest.mark.parametrize("label", ["", "label: http, "])
def test_labels_are_unique(label: str) -> None:
    text = f"routers:\n- {{{HTTP}, servers: [{{port: 1}}]}}\n"
    text += f"- {{{label}{HTTP}, servers: [{{port: 2}}]}}\n"
    errors, _ = problems(text)
    assert len(errors) == 1
    assert "routers[1].label: Multiple routers with the label http, routers[0] too" in errors[0]


def test_servers_of_one_address_conflict() -> None:
    text = f"routers:\n- {{{HTTP}, servers: [{{port: 1}},\n  {{port: 1, ip: 127.0.0.1}}]}}\n"
    (error,) = problems(text)[0]
    assert error.startswith("3:4: routers[0].servers[1].port: Server conflict on port 1, ")
    assert error.endswith("routers[0].servers[0] listens there too: change one")


def test_servers_of_different_routers_conflict() -> None:
    text = f"routers:\n- {{{HTTP}, label: a, servers: [{{}}]}}\n"
    text += f"- {{{HTTP}, label: b, servers: [{{}}]}}\n"
    assert "Server conflict on port 4140" in problems(text)[0][0]


SHARED = "socketOptions: {reusePort: true}"


@pytest.mark.parametrize(
    "more",
    [
        "servers: [{port: 1}, {port: 1, ip: 0.0.0.0}]",
        "servers: [{port: 1, ip: '::1'}, {port: 1, ip: '0:0::1'}]",
        "servers: [{port: 1, ip: '::ffff:127.0.0.1'}, {port: 1}]",
        f"servers: [{{port: 1, {SHARED}}}, {{port: 1, {SHARED}}}]",
        f"servers: [{{port: 1, {SHARED}}}, {{port: 1, ip: 0.0.0.0}}]",
        "servers: [{port: 9990}]",
        "servers: [{port: 9990, ip: 0.0.0.0}]",
        f"servers: [{{port: 1, {SHARED}}}, {{port: 1, ip: 0.0.0.0, {SHARED}}}]\nworkers: 2",
        "servers: [{port: 7}]\nadmin: {httpIdentifierPort: 7}",
        "servers: [{port: 7}]\nadmin: {httpIdentifierPort: 9990}",
    ],
)
def test_addresses_that_cannot_both_be_listened_on_conflict(more: str) -> None:
    (error,) = problems(f"routers:\n- {HTTP}\n  {more}\n")[0]
    assert "Server conflict on port" in error
    assert "listens there too: change one" in error


def test_ipv6_may_leave_ipv4_to_others() -> None:
    servers = "{port: 9990, ip: '::'}"
    errors, (warning,) = problems(f"routers:\n- {{{HTTP}, servers: [{servers}]}}\n")
    assert errors == []
    assert "Server conflict on port 9990, admin listens there too" in warning


@pytest.mark.parametrize(
    "servers",
    [
        "{port: 0}, {port: 0}",
        "{port: 1}, {port: 2}",
        "{port: 1}, {port: 1, ip: 127.0.0.2}",
        "{port: 1}, {port: 1, ip: '::1'}",
        f"{{port: 1, {SHARED}}}, {{port: 1, ip: 0.0.0.0, {SHARED}}}",
    ],
)
def test_other_addresses_do_not_conflict(servers: str) -> None:
    assert problems(f"routers:\n- {{{HTTP}, servers: [{servers}]}}\n") == ([], [])
