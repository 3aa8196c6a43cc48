"""Keys of connections as settings of the protocol."""

import pytest

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.h2 import H2Keys, h2_settings, written_keys
from meshproxy.h2.settings import LocalSettings


def read(text: str) -> tuple[H2Keys | None, list[str]]:
    findings = Findings("f")
    config = decode(H2Keys, parse(text, findings), findings)
    return config, [str(error) for error in findings.found]


def test_without_keys_windows_are_large() -> None:
    settings = h2_settings(H2Keys())
    assert (settings.stream_window_bytes, settings.connection_window_bytes) == (262_144, 1_048_576)
    assert settings.window_update_ratio == 0.99
    rest = LocalSettings()
    assert settings.max_frame_bytes == rest.max_frame_bytes
    assert settings.max_header_list_bytes == rest.max_header_list_bytes
    assert settings.max_concurrent_streams == 1000


def test_every_key_arrives() -> None:
    config, errors = read(
        "initialStreamWindowBytes: 2000000\nheaderTableBytes: 0\nmaxFrameBytes: 20000\n"
        "maxHeaderListBytes: 4096\nwindowUpdateRatio: '0.5'\n"
    )
    assert errors == []
    assert config is not None
    assert h2_settings(config, max_concurrent_streams=7) == LocalSettings(
        stream_window_bytes=2_000_000,
        connection_window_bytes=2_000_000,
        window_update_ratio=0.5,
        header_table_bytes=0,
        max_frame_bytes=20_000,
        max_header_list_bytes=4096,
        max_concurrent_streams=7,
    )
    assert written_keys(config).keys() == {
        "initial_stream_window_bytes",
        "header_table_bytes",
        "max_frame_bytes",
        "max_header_list_bytes",
        "window_update_ratio",
    }
    assert written_keys(H2Keys()) == {}


def test_a_window_of_0_is_what_is_written() -> None:
    assert h2_settings(H2Keys(initial_stream_window_bytes=0)).stream_window_bytes == 0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("windowUpdateRatio: 1.0", "windowUpdateRatio: 1 is not between 0 and 1"),
        ("windowUpdateRatio: 0", "windowUpdateRatio: 0 is not between 0 and 1"),
        ("maxFrameBytes: 8192", "maxFrameBytes: 8192 is too small, at least 16384"),
        ("maxFrameBytes: 16777216", "maxFrameBytes: 16777216 is too large, at most"),
        ("initialStreamWindowBytes: 2147483648", "initialStreamWindowBytes: "),
        ("maxHeaderListByts: 4096", "unknown key, did you mean maxHeaderListBytes?"),
    ],
)
def test_what_the_protocol_does_not_allow_is_an_error(text: str, what: str) -> None:
    (error,) = read(text)[1]
    assert what in error
