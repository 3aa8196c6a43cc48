"""Keys of connections of HTTP/2 (linkerd: linkerd/protocol/h2/.../H2EndpointConfig.scala)."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, Final

from meshproxy.config.decode import Config, Problem, key
from meshproxy.h2.frames import MAX_FRAME_BYTES, MIN_FRAME_BYTES
from meshproxy.h2.settings import MAX_WINDOW_BYTES, LocalSettings
from meshproxy.http.limits import Limits

STREAM_WINDOW_BYTES: Final = 262_144
CONNECTION_WINDOW_BYTES: Final = 1_048_576
UPDATE_RATIO: Final = 0.99
_MAX_TABLE_BYTES: Final = 65_536
_MAX_LIST_BYTES: Final = 1_048_576
_MIN_LIST_BYTES: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class H2Keys(Config):
    """How a side of an HTTP/2 connection wants to be treated by the other one."""

    initial_stream_window_bytes: int | None = key(
        default=None,
        minimum=0,
        maximum=MAX_WINDOW_BYTES,
        only_for="h2",
        doc="Bytes that the other side may send on a stream before they are passed on; "
        f"{STREAM_WINDOW_BYTES} when unset. All streams of a connection share at least "
        f"{CONNECTION_WINDOW_BYTES}.",
    )
    header_table_bytes: int | None = key(
        default=None,
        minimum=0,
        maximum=_MAX_TABLE_BYTES,
        only_for="h2",
        doc="Size of the table of known header fields; 4096 when unset.",
    )
    max_frame_bytes: int | None = key(
        default=None,
        minimum=MIN_FRAME_BYTES,
        maximum=MAX_FRAME_BYTES,
        only_for="h2",
        doc=f"Longest frame that the other side may send; {MIN_FRAME_BYTES} when unset.",
    )
    max_header_list_bytes: int | None = key(
        default=None,
        minimum=_MIN_LIST_BYTES,
        maximum=_MAX_LIST_BYTES,
        only_for="h2",
        doc="Most bytes of the fields of a message, each counted with 32 more; "
        "8192 when unset, or what maxHeadersKB says.",
    )
    window_update_ratio: float | None = key(
        default=None,
        quoted=True,
        only_for="h2",
        doc="A window is granted anew when less than this part of it is left: together with what "
        "is sent next, and on its own at half of the window; above 0 and below 1, "
        f"{UPDATE_RATIO:g} when unset.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields a problem for a ratio that is not between 0 and 1."""
        ratio = self.window_update_ratio
        if ratio is not None and not 0 < ratio < 1:
            yield Problem(f"{ratio:g} is not between 0 and 1", "windowUpdateRatio")


def written_keys(keys: H2Keys) -> dict[str, Any]:
    """Returns the keys of `H2Keys` that *keys* has a value for, by the names of the fields."""
    names = (field.name for field in fields(H2Keys))
    return {name: value for name in names if (value := getattr(keys, name)) is not None}


def h2_settings(
    keys: H2Keys, limits: Limits | None = None, max_concurrent_streams: int = 1000
) -> LocalSettings:
    """Returns what is asked of the other side of a connection with *keys*.

    A message may have as many fields, and bytes of them, as *limits* say, unless *keys* do.
    """
    limits = limits or Limits()
    window = keys.initial_stream_window_bytes
    unset = LocalSettings()
    return LocalSettings(
        stream_window_bytes=STREAM_WINDOW_BYTES if window is None else window,
        connection_window_bytes=max(CONNECTION_WINDOW_BYTES, window or 0),
        window_update_ratio=keys.window_update_ratio or UPDATE_RATIO,
        header_table_bytes=_or(keys.header_table_bytes, unset.header_table_bytes),
        max_frame_bytes=_or(keys.max_frame_bytes, unset.max_frame_bytes),
        max_header_list_bytes=_or(
            keys.max_header_list_bytes, min(limits.header_bytes, _MAX_LIST_BYTES)
        ),
        max_header_fields=limits.header_count,
        max_concurrent_streams=max_concurrent_streams,
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
