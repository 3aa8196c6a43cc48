"""Parent proxies between a client and its endpoints: additions of meshproxy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from meshproxy.config.decode import Config, Problem, RegularFile, key
from meshproxy.config.scalars import HostAndPort
from meshproxy.config.secrets import why_no_credentials

MAX_PARENTS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamProxyConfig(Config):
    """Parent proxies, which are asked by CONNECT for the host and port of every connection.

    A parent that cannot be reached, hangs up or answers with 5xx gives way to the next one. What
    else is not 2xx ends the request with 502.
    """

    former: ClassVar = {
        "address": "it is addresses, which takes a list",
        "proxies": "it is addresses",
        "credentials": "it is credentialsFile, a file that holds user:password",
    }

    addresses: tuple[HostAndPort, ...] = key(
        one_or_many=True,
        doc="`host:port` of each, in the order in which they are tried; `[]` undoes the key of an "
        "earlier match.",
    )
    credentials_file: RegularFile | None = key(
        default=None,
        filled=True,
        doc="A file that holds `user:password`, sent to the parents as Basic; looked at every 5 s.",
    )
    or_direct: bool = key(
        default=False, filled=True, doc="Connect without a parent if no parent serves."
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: too many parents, some named twice, a file without credentials."""
        for index, one in enumerate(self.addresses):
            if one in self.addresses[:index]:
                yield Problem("is there twice, remove one", f"addresses[{index}]")
        if len(self.addresses) > MAX_PARENTS:
            many = f"{len(self.addresses)} parents, each waited for in turn; at most {MAX_PARENTS}"
            yield Problem(many, "addresses")
        path = self.credentials_file
        if path is not None and (what := why_no_credentials(path)):
            yield Problem(what, "credentialsFile")
