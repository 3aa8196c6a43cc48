"""Names of apps in Marathon: io.l5d.marathon (linkerd: namer/marathon/src/main/scala)."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from meshproxy.config.bases import NamerConfig, NamerDeps, Resolver
from meshproxy.config.decode import Port, Problem, key
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.discovery.dcos import Credentials, ServiceAccount
from meshproxy.discovery.marathon import Marathon
from meshproxy.discovery.members import Members, bind_members
from meshproxy.discovery.watching.api import Api, addresses_of
from meshproxy.discovery.watching.failure import ApiFailure
from meshproxy.discovery.watching.watch import Watch, Watches, WatchStats, polled
from meshproxy.errors import BindingFailed
from meshproxy.metrics.tree import Tree
from meshproxy.naming.bound import Bound
from meshproxy.naming.followed import Followed
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Failed, Ok, State, Var

BASIC: Final = "MARATHON_HTTP_AUTH_CREDENTIAL"
DCOS: Final = "DCOS_SERVICE_ACCOUNT_CREDENTIAL"
MAX_DEPTH: Final = 32
"""Most segments of an id."""
Apps = frozenset[Path]


class MarathonNamer:
    """Names begin with the id of an app, in any case; the shortest existing id is used.

    Before Marathon's first answer, a failure is the result; afterwards the last answer stays.
    An app without tasks is negative.
    """

    def __init__(
        self,
        prefix: Path,
        marathon: Marathon,
        resolver: Resolver,
        metrics: Tree,
        interval_s: Callable[[], float],
    ) -> None:
        self.prefix = prefix
        self._resolver = resolver
        apps_stats, app_stats = WatchStats(metrics.scope("apps")), WatchStats(metrics.scope("app"))

        def intervals() -> Iterator[float]:
            while True:
                yield interval_s()

        def watch_apps(_: None) -> Watch[Apps]:
            return Watch(
                marathon.api,
                "apps",
                lambda line: polled(lambda: marathon.apps(line), interval_s),
                backoff=intervals,
                stats=apps_stats,
                unknown=_failed,
                show=lambda apps: sorted(app.show() for app in apps),
            )

        def watch_app(app: Path) -> Watch[Members]:
            return Watch(
                marathon.api,
                app.show(),
                lambda line: polled(lambda: marathon.members(line, app), interval_s),
                backoff=intervals,
                stats=app_stats,
                unknown=_failed,
                show=Members.show,
            )

        self._apps: Watches[None, Apps] = Watches(watch_apps)
        self._members: Watches[Path, Members] = Watches(watch_app)

    def lookup(self, path: Path) -> Lookup:
        """Returns negative until such an app exists, and then its tasks."""
        if not path:
            return NEG
        lower = Path([segment.lower() for segment in path])

        def among(apps: State[Apps]) -> Activity[NameTree[Path | Bound]]:
            if not isinstance(apps, Ok):
                return Var(apps)
            lengths = range(1, min(len(lower), MAX_DEPTH) + 1)
            length = next((n for n in lengths if lower.take(n) in apps.value), 0)
            if not length:
                return Var(Ok(NEG))
            app, residual = lower.take(length), path.drop(length)
            found = self._members.follow(app)
            return bind_members(found, self.prefix + app, residual, self._resolver.resolve)

        return self._apps.follow(None).flat_map(among)

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of the list of apps, and of each app that is in use."""
        return {**self._apps.describe(), **self._members.describe()}

    def followed(self) -> Iterator[Followed]:
        """Yields the same in brief."""
        yield from self._apps.followed()
        yield from self._members.followed()


def _failed(failure: ApiFailure) -> Failed:
    return Failed(BindingFailed(f"Marathon: {failure}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class MarathonNamerConfig(NamerConfig):
    """Apps of Marathon by their ids, `/group/app`.

    The environment may hold credentials: `MARATHON_HTTP_AUTH_CREDENTIAL`, which is user and
    password in Base64, or `DCOS_SERVICE_ACCOUNT_CREDENTIAL`, the JSON of a service account.
    """

    kind: ClassVar[str] = "io.l5d.marathon"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.marathon")

    host: str = key(default="marathon.mesos", doc="Marathon's host, also sent as Host.")
    port: Port = key(default=Port(80), minimum=1, doc="The port of its API.")
    dst: Path | None = key(default=None, doc="The name of the API; `/$/inet/host/port` when unset.")
    uri_prefix: str = key(default="", doc="Precedes the paths of the API.")
    ttl_ms: int = key(default=5000, minimum=1, doc="Interval between requests.")
    jitter_ms: int = key(default=50, minimum=0, doc="Random variation of that, up and down.")
    use_health_check: bool = key(
        default=False, doc="Only tasks that run and pass all health checks of their app count."
    )
    tls: ClientTlsConfig | None = key(default=None, doc="TLS to Marathon; plain when unset.")

    def check(self) -> Iterable[Problem]:
        """Returns a path that would not be one."""
        if self.uri_prefix and not _is_path(self.uri_prefix):
            yield Problem("is not a path, write it as /service/marathon", "uriPrefix")

    def build(self, deps: NamerDeps) -> MarathonNamer:
        """Returns the namer. Raises TlsFailed, or ValueError for unusable credentials."""
        dst = self.dst or Path.of("$", "inet", self.host, str(self.port))
        headers, account = _credentials(deps.environ)
        api = Api(
            addresses_of(deps.bind(dst)),
            self.host,
            tls=deps.tls(self.tls) if self.tls is not None else None,
            headers=headers,
        )
        marathon = Marathon(
            api,
            self.uri_prefix.rstrip("/"),
            account,
            checks_health=self.use_health_check,
        )
        ttl_s, jitter_s = self.ttl_ms / 1000, min(self.jitter_ms, self.ttl_ms) / 1000

        def interval_s() -> float:
            return random.uniform(ttl_s - jitter_s, ttl_s + jitter_s)  # noqa: S311 - no secret

        return MarathonNamer(deps.prefix, marathon, deps.resolver, deps.metrics, interval_s)


def _credentials(
    environ: Mapping[str, str],
) -> tuple[Mapping[str, str], ServiceAccount | None]:
    """Returns the headers of every request and the account, if the environment has them."""
    dcos, basic = environ.get(DCOS), environ.get(BASIC)
    if dcos is not None:
        try:
            return {}, ServiceAccount(Credentials.parse(dcos))
        except ValueError as error:
            raise ValueError(f"the environment variable {DCOS} {error}") from error
    if basic is None:
        return {}, None
    if not (basic.isascii() and basic.isprintable()):
        raise ValueError(f"the environment variable {BASIC} is not Base64")
    return {"Authorization": f"Basic {basic}"}, None


def _is_path(text: str) -> bool:
    return text.startswith("/") and text.isascii() and text.isprintable() and " " not in text
