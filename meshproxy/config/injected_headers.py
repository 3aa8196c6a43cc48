"""Headers that a client adds to requests, with values from files: an addition of meshproxy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from meshproxy.config.decode import Config, Problem, RegularFile, key
from meshproxy.config.secrets import why_no_value
from meshproxy.http import hop
from meshproxy.http.headers import TOKEN

_OF_THE_MESSAGE: Final = hop.HOP_BY_HOP | {b"content-length", b"expect", b"host", b"via"}
"""Headers that say where a message ends, or which way it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedHeaderConfig(Config):
    """A header for endpoints, in place of what the client sent under that name.

    It is never sent with TRACE and CONNECT, and never shown.
    """

    former: ClassVar = {"value": "it is file, a file that holds the value"}

    name: str = key(doc="The name of the header.")
    file: RegularFile = key(
        doc="A file that holds the value, at most 8 KB in one line; looked at every 5 s."
    )
    prefix: str = key(default="", filled=True, doc="What comes before it, such as `'Bearer '`.")
    over_plain_text: bool = key(
        default=False,
        filled=True,
        doc="Send it without TLS too; otherwise such a request is not sent: 502.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: a name or prefix that no header may have, and a file without a value."""
        name = self.name.encode("utf-8", "surrogatepass")
        if not TOKEN(name):
            yield Problem(f"{self.name!r} cannot be the name of a header", "name")
        elif name.lower() in _OF_THE_MESSAGE or name.lower().startswith(b"l5d-"):
            yield Problem(f"{self.name} is the proxy's own to set, write another", "name")
        if not self.prefix.isascii() or not self.prefix.isprintable():
            yield Problem("may have printable ASCII characters only", "prefix")
        if what := why_no_value(self.file):
            yield Problem(what, "file")


def repeated_names(headers: tuple[InjectedHeaderConfig, ...]) -> Iterable[Problem]:
    """Yields a problem for each of *headers* with the name of an earlier one."""
    names = [one.name.lower() for one in headers]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"{headers[index].name} is there twice, remove one", f"[{index}].name")
