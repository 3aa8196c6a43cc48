"""Who may go where: `egress` of a router, and the file of rules that it may name."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from meshproxy.config.client import as_ids_are_spelled
from meshproxy.config.errors import Problem, Severity
from meshproxy.config.model import Config, key
from meshproxy.config.scalars import (
    CallerItem,
    HostItem,
    MethodItem,
    PathItem,
    PortItem,
    RuleName,
    TargetItem,
)
from meshproxy.egress.callers import Callers, RangeEntry
from meshproxy.egress.entries import Choice, Item, PathEntry
from meshproxy.egress.limiter import Limit
from meshproxy.egress.rules import EgressPolicy, Rule, RuleAction


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressLimitConfig(Config):
    """How many requests a rule lets through; 429 beyond it. Each worker counts by itself."""

    requests_per_second: float | None = key(
        default=None, doc="Requests a second on average; no limit when unset."
    )
    burst: int | None = key(
        default=None,
        minimum=1,
        doc="Requests at once after a pause; `requestsPerSecond` rounded up when unset.",
    )
    concurrent: int | None = key(
        default=None, minimum=1, doc="Requests and tunnels in progress; no limit when unset."
    )
    per: Literal["rule", "caller"] = key(
        default="rule", doc="Whether all callers share the limit or each has its own."
    )

    def check(self) -> Iterable[Problem]:
        """Requires that it limits something."""
        rate = self.requests_per_second
        if rate is not None and not rate > 0:
            yield Problem(
                "has to be more than 0; to let nothing through, deny", "requestsPerSecond"
            )
        if rate is None and self.burst is not None:
            yield Problem("needs requestsPerSecond beside it", "burst")
        if rate is None and self.concurrent is None:
            yield Problem("limits nothing, write requestsPerSecond or concurrent")

    def limit(self) -> Limit:
        """Returns what the limiter keeps to."""
        rate = self.requests_per_second
        return Limit(
            rate, self.burst or math.ceil(rate or 1), self.concurrent, self.per == "caller"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRuleConfig(Config):
    """A rule applies when all of its keys match; the first `allow` or `deny` that does decides.

    An entry with `!` before it takes away: of the entries that match, the most specific decides.
    """

    former: ClassVar = {
        "hosts": "it is host, which takes a list too",
        "ports": "it is port, which takes a list too",
        "methods": "it is method, which takes a list too",
    }

    name: RuleName = key(doc="Names it in errors, logs and metrics.")
    action: Literal["allow", "deny", "report"] = key(
        doc="`report` decides nothing, but counts and logs what it would have denied."
    )
    host: tuple[HostItem, ...] | None = key(
        default=None,
        one_or_many=True,
        filled=True,
        doc="The host asked for: a name, `*.` and what it is below, `*`, or an address.",
    )
    service: tuple[PathItem, ...] | None = key(
        default=None, one_or_many=True, filled=True, doc="Prefixes of the logical name."
    )
    client: tuple[PathItem, ...] | None = key(
        default=None, one_or_many=True, filled=True, doc="Prefixes of the bound name."
    )
    port: tuple[PortItem, ...] | None = key(
        default=None, one_or_many=True, filled=True, doc="The port connected to."
    )
    to: tuple[TargetItem, ...] | None = key(
        default=None,
        one_or_many=True,
        filled=True,
        doc="The address connected to: `public`, `private`, `loopback`, `linkLocal`, `metadata`, "
        "`multicast`, `reserved`, an address or a range. An `allow` without it is for `public` and "
        "`private` only, where the operator did not write the address.",
    )
    method: tuple[MethodItem, ...] | None = key(
        default=None, one_or_many=True, filled=True, doc="The method of the request."
    )
    from_: tuple[CallerItem, ...] | None = key(
        default=None,
        one_or_many=True,
        filled=True,
        doc="The client: an address or range, or `dns:` or `uri:` and a name of its verified "
        "certificate, with `*` at one end.",
    )
    limit: EgressLimitConfig | None = key(
        default=None, filled=True, doc="With `allow` only; no limit when unset."
    )

    def check(self) -> Iterable[Problem]:
        """Lists hold something to take away from, and limits go with what is allowed."""
        for name, written in self._written():
            if not written:
                yield Problem("is an empty list, which nothing matches: remove it", name)
            elif all(item.takes_away for item in written):
                yield Problem(f"takes away from nothing: {_REMEDIES[name]}", name)
        if self.limit is not None and self.action != "allow":
            yield Problem(f"goes with allow only, this one is {self.action}", "limit")

    def _written(self) -> Iterator[tuple[str, Sequence[Item[Any]]]]:
        for name in _REMEDIES:
            written = getattr(self, "from_" if name == "from" else name)
            if written is not None:
                yield name, written

    def rule(self) -> Rule:
        """Returns the rule that this describes."""
        return Rule(
            name=self.name,
            action=RuleAction(self.action),
            host=_choice(self.host),
            service=_choice(self.service),
            method=_choice(self.method),
            caller=_callers(self.from_),
            client=_choice(self.client and tuple(map(_lower_host, self.client))),
            port=_choice(self.port),
            to=_choice(self.to),
            limit=self.limit.limit() if self.limit is not None else None,
        )


_REMEDIES = {
    "host": "write '*' before it",
    "service": "write / before it",
    "client": "write / before it",
    "port": "write 0-65535 before it",
    "to": "write 0.0.0.0/0 and ::/0 before it",
    "method": "write the methods it is for",
    "from": "write 0.0.0.0/0 and ::/0 before it",
}
"""The keys that take lists, and what to do where all entries of one take away."""


def _choice(written: Sequence[Any] | None) -> Choice[Any] | None:
    return None if written is None else Choice(tuple(written))


def _callers(written: Sequence[Item[Any]] | None) -> Callers | None:
    if written is None:
        return None
    ranges = tuple(item for item in written if isinstance(item.entry, RangeEntry))
    names = tuple(item for item in written if not isinstance(item.entry, RangeEntry))
    return Callers(Choice(ranges), Choice(names))


def _lower_host(item: Item[PathEntry]) -> Item[PathEntry]:
    return item._replace(entry=PathEntry(as_ids_are_spelled(item.entry.prefix)))


def rule_problems(rules: Sequence[EgressRuleConfig]) -> Iterator[Problem]:
    """Yields what is wrong between *rules*: names used twice, and rules behind wider ones."""
    seen: dict[str, int] = {}
    earlier: list[Rule] = []
    for at, config in enumerate(rules):
        if config.name in seen:
            what = f"{config.name} is the name of rule {seen[config.name] + 1} too: rename one"
            yield Problem(what, f"[{at}].name")
        seen.setdefault(config.name, at)
        rule = config.rule()
        wider = next((one for one in earlier if one.covers(rule)), None)
        if wider is not None:
            what = f"never decides anything, as {wider.name} before it is for all of that"
            yield Problem(f"{what}: move it up or remove it", f"[{at}]", Severity.WARNING)
        earlier.append(rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressConfig(Config):
    """Who may send requests where, by rules in order; see docs/egress-control.md."""

    default: Literal["allow", "deny", "report"] = key(
        default="allow",
        filled=True,
        doc="What becomes of a request that no rule decides about; `report` allows it, and counts "
        "and logs that `deny` would not have.",
    )
    rules: tuple[EgressRuleConfig, ...] | None = key(
        default=None, filled=True, whole=rule_problems, doc="The rules; none when unset."
    )
    rules_file: tuple[EgressRuleConfig, ...] | None = key(
        default=None,
        filled=True,
        in_file=True,
        whole=rule_problems,
        doc="A file that holds the list, in place of `rules`; read again by a reload.",
    )

    def check(self) -> Iterable[Problem]:
        """Returns the rules are in one place."""
        if self.rules is not None and self.rules_file is not None:
            yield Problem("cannot go with rules, move all of them there or here", "rulesFile")

    def policy(self) -> EgressPolicy:
        """Returns what requests are judged by."""
        rules = self.rules or self.rules_file or ()
        return EgressPolicy.of([one.rule() for one in rules], RuleAction(self.default))
