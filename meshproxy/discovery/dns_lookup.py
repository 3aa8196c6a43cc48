"""A complete resolution: hosts file, search domains, both address families, all name servers.

Does what glibc's stub resolver does (resolv.conf(5)), within one deadline and without native calls.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import gevent

from meshproxy.discovery.dns_query import (
    MAX_RECORDS,
    Answer,
    QueryDeadline,
    QueryFailed,
    RecordType,
    Server,
    ask,
)
from meshproxy.discovery.resolv_conf import (
    HOSTS,
    RESOLV_CONF,
    Reread,
    ResolvConf,
    has_global_ipv6,
    parse_hosts,
)

LAST_FAMILY_WAIT_S: Final = 0.5
"""How long a complete answer waits for the other family: some servers never answer AAAA."""


class DnsKeys(Protocol):
    """The keys of the configuration's `dns` block."""

    @property
    def nameservers(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def attempts(self) -> int | None: ...  # noqa: D102
    @property
    def timeout_ms(self) -> int | None: ...  # noqa: D102
    @property
    def total_timeout_ms(self) -> int: ...  # noqa: D102
    @property
    def min_ttl_secs(self) -> int: ...  # noqa: D102
    @property
    def max_ttl_secs(self) -> int: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsSettings:
    """How names are resolved; None means as in resolv.conf. Times are in seconds."""

    nameservers: tuple[Server, ...] | None = None
    search: tuple[str, ...] | None = None
    ndots: int | None = None
    attempts: int | None = None
    query_timeout_s: float | None = None
    """If None, and resolv.conf has none: 2."""
    timeout_s: float = 5.0
    """Limit on a whole resolution, including the wait in the queue."""
    min_ttl_s: float = 5.0
    max_ttl_s: float = 300.0
    max_negative_ttl_s: float = 30.0
    stale_s: float = 600.0
    """How long the last good answer is used while there is no new one."""
    resolv_conf: str = RESOLV_CONF
    hosts: str = HOSTS

    @classmethod
    def of(cls, config: DnsKeys) -> "DnsSettings":
        """Returns the settings of the configuration's `dns` block."""
        return cls(
            nameservers=tuple(map(Server.parse, config.nameservers)) or None,
            attempts=config.attempts,
            query_timeout_s=None if config.timeout_ms is None else config.timeout_ms / 1000,
            timeout_s=config.total_timeout_ms / 1000,
            min_ttl_s=config.min_ttl_secs,
            max_ttl_s=config.max_ttl_secs,
        )


class Lookup:
    """Looks up the addresses of a name; shared by all greenlets."""

    def __init__(
        self, settings: DnsSettings, has_ipv6: Callable[[], bool] = has_global_ipv6
    ) -> None:
        self._settings = settings
        self._has_ipv6 = has_ipv6
        self._resolv_conf = Reread(settings.resolv_conf, self._configured)
        self._hosts = Reread(settings.hosts, parse_hosts)
        self._preferred: Server | None = None

    def _configured(self, text: str) -> ResolvConf:
        """Returns resolv.conf, with the settings in place of what they define."""
        found, settings = ResolvConf.parse(text), self._settings
        return ResolvConf(
            nameservers=found.nameservers,
            search=found.search if settings.search is None else settings.search,
            ndots=found.ndots if settings.ndots is None else settings.ndots,
            timeout_s=settings.query_timeout_s or found.timeout_s or 2.0,
            attempts=settings.attempts or found.attempts,
        )

    def look_up(self, host: str) -> Answer:
        """Returns the addresses of *host*. Raises QueryFailed if no server answers in time."""
        listed = self._hosts.value().get(host.removesuffix(".").lower())
        if listed:
            return Answer(addresses=listed, ttl_s=0.0)
        deadline = QueryDeadline(self._settings.timeout_s)
        failure: QueryFailed | None = None
        empty: list[Answer] = []
        for name in self._resolv_conf.value().candidates(host):
            try:
                answer = self._both_families(name, deadline)
            except QueryFailed as failed:
                failure = failure or failed
                continue
            if answer.addresses:
                return answer
            empty.append(answer)
        if failure is not None:
            raise failure
        return Answer(
            ttl_s=min(answer.ttl_s for answer in empty),
            name_exists=any(answer.name_exists for answer in empty),
        )

    def services(self, name: str) -> Answer:
        """Returns the SRV records of the absolute *name*. Raises QueryFailed as above."""
        return self._ask_servers(name, "SRV", QueryDeadline(self._settings.timeout_s))

    def _both_families(self, name: str, deadline: QueryDeadline) -> Answer:
        if not self._has_ipv6():
            return self._ask_servers(name, "A", deadline)
        ipv6 = gevent.spawn(self._outcome, name, "AAAA", deadline)
        try:
            first = self._outcome(name, "A", deadline)
            if isinstance(first, Answer) and not first.name_exists:
                return first
            waits = isinstance(first, QueryFailed) or not first.addresses
            ipv6.join(None if waits else LAST_FAMILY_WAIT_S)
            return _merged(first, ipv6.value or QueryFailed("timed out"))
        finally:
            ipv6.kill(block=False)

    def _outcome(
        self, name: str, record: RecordType, deadline: QueryDeadline
    ) -> Answer | QueryFailed:
        try:
            return self._ask_servers(name, record, deadline)
        except QueryFailed as failure:
            return failure

    def _ask_servers(self, name: str, record: RecordType, deadline: QueryDeadline) -> Answer:
        """Returns the first answer of a name server, beginning with the one that answered last."""
        conf = self._resolv_conf.value()
        timeout_s = conf.timeout_s or self._settings.timeout_s
        failure = QueryFailed("no name server")
        for server in self._in_order(conf) * conf.attempts:
            try:
                left_s = min(timeout_s, deadline.remaining())
                answer = ask(server, name, record, left_s, self._settings.min_ttl_s)
            except QueryFailed as failed:
                failure = failed
                continue
            self._preferred = server
            return answer
        raise failure

    def _in_order(self, conf: ResolvConf) -> list[Server]:
        servers = self._settings.nameservers or tuple(map(Server, conf.nameservers))
        return sorted(servers, key=lambda server: server != self._preferred)


def _merged(first: Answer | QueryFailed, second: Answer | QueryFailed) -> Answer:
    """Merges both families' answers; omits a family that failed if the other has addresses."""
    answers = [each for each in (first, second) if isinstance(each, Answer)]
    addresses = tuple(address for answer in answers for address in answer.addresses)
    failures = [each for each in (first, second) if isinstance(each, QueryFailed)]
    if failures and not addresses:
        raise failures[0]
    useful = [answer for answer in answers if answer.addresses] or answers
    return Answer(
        addresses=addresses[:MAX_RECORDS],
        ttl_s=min(answer.ttl_s for answer in useful),
        name_exists=any(answer.name_exists for answer in answers),
        is_partial=bool(failures),
    )
