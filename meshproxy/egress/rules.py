"""Evaluates a list of rules with the facts known so far: a verdict, or the rules still open.

The first `allow` or `deny` that applies decides; the default is the last rule. Judging is partial
evaluation: `given` drops the rules that cannot apply any more, and of the others the keys that
match. So a request can be judged before a name is looked up, and again at each address, and ends
as if everything had been known at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Final, NamedTuple

from meshproxy.egress.addresses import ORDINARY, Target
from meshproxy.egress.callers import Caller, Callers
from meshproxy.egress.entries import Choice, HostEntry, MethodEntry, PathEntry, PortEntry
from meshproxy.egress.limiter import Limit
from meshproxy.egress.targets import Destination, TargetEntry
from meshproxy.naming.path import Path

DEFAULT: Final = "default"
"""The name of the last rule."""


class RuleAction(Enum):
    """The action of a rule."""

    ALLOW = "allow"
    DENY = "deny"
    REPORT = "report"


class Unknown(Enum):
    """A fact that is not known yet."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class AtParent(Enum):
    """The address of a name that is unknown here and that a parent proxy will look up."""

    AT_PARENT = "at parent"


AT_PARENT: Final = AtParent.AT_PARENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The known facts about a request."""

    host: str | Unknown = UNKNOWN
    """The host asked for, as `hosts.normalised` has it; empty if there is none."""
    service: Path | Unknown = UNKNOWN
    method: bytes | Unknown = UNKNOWN
    caller: Caller | Unknown = UNKNOWN
    client: Path | Unknown = UNKNOWN
    """The bound name."""
    is_guarded: bool | Unknown = UNKNOWN
    """True if somebody other than the operator chose the address."""
    port: int | Unknown = UNKNOWN
    target: Target | Unknown | AtParent | None = UNKNOWN
    """The address connected to; None if it is no address. No `to` matches AT_PARENT."""


_KEYS: Final = ("host", "service", "method", "caller", "client", "port")
"""Names of the facts that are compared with the rule's key of the same name."""
_HOST: Final = 1
_TO: Final = 1 << len(_KEYS)
_GUARD: Final = _TO << 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; a key that is None matches everything."""

    name: str
    action: RuleAction
    host: Choice[HostEntry] | None = None
    service: Choice[PathEntry] | None = None
    method: Choice[MethodEntry] | None = None
    caller: Callers | None = None
    client: Choice[PathEntry] | None = None
    port: Choice[PortEntry] | None = None
    to: Choice[TargetEntry] | None = None
    limit: Limit | None = None

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def open_keys(self) -> int:
        """The facts it depends on: a bit for each key, and one for the guard."""
        keys = sum(1 << bit for bit, key in enumerate(_KEYS) if getattr(self, key) is not None)
        return keys | (_TO if self.to else 0) | (_GUARD if self.action is RuleAction.ALLOW else 0)

    def covers(self, later: "Rule") -> bool:
        """Returns True if it decides about everything that *later* matches and the guard allows."""
        if self.action is RuleAction.REPORT:
            return False
        for key in (*_KEYS, "to"):
            mine, other = getattr(self, key), getattr(later, key)
            if mine is not None and (other is None or not mine.covers(other)):
                return False
        return self.action is RuleAction.DENY or self.to is not None or _is_ordinary(later.to)


def _is_ordinary(to: Choice[TargetEntry] | None) -> bool:
    """Returns True if *to* names ordinary classes only, and ranges in those."""
    if to is None:
        return True
    kinds = (
        item.entry.kind or item.entry.kind_of_range() for item in to.items if not item.takes_away
    )
    return all(kind in ORDINARY for kind in kinds)


class Open(NamedTuple):
    """A rule that may apply, and the bits of its keys that are not compared yet."""

    rule: Rule
    keys: int


class Verdict(NamedTuple):
    """The decision of a policy."""

    is_allowed: bool
    rule: Rule | None
    """The rule that decided; None if the class of the address did, since no rule names it."""
    reported: tuple[str, ...] = ()
    """Rules that would have denied it."""


class EgressPolicy:
    """The rules that may apply, in order; equal policies decide alike."""

    def __init__(self, rules: Iterable[Open], *, has_withheld: bool = False) -> None:
        self.rules = tuple(rules)
        self.has_withheld = has_withheld
        """True if only the class of the address kept a rule from allowing it."""
        self._hash = hash((self.rules, has_withheld))

    @classmethod
    def of(cls, rules: Iterable[Rule], default: RuleAction = RuleAction.ALLOW) -> "EgressPolicy":
        """Returns the policy of *rules*, with nothing known."""
        last = [Rule(name=DEFAULT, action=default)]
        if default is RuleAction.REPORT:
            last.append(Rule(name=DEFAULT, action=RuleAction.ALLOW))
        return cls(Open(rule, rule.open_keys) for rule in (*rules, *last))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, EgressPolicy)
            and self._hash == other._hash
            and (self.rules, self.has_withheld) == (other.rules, other.has_withheld)
        )

    def __hash__(self) -> int:
        return self._hash

    def given(self, facts: Facts) -> "EgressPolicy":
        """Returns the policy that is left if *facts* are known as well."""
        left: list[Open] = []
        has_withheld = self.has_withheld
        for rule, keys in self._candidates(facts.host):
            still_open = _compared(rule, keys, facts)
            if still_open is None:
                continue
            if still_open == _GUARD and _is_withheld(rule, facts):
                has_withheld = True
                continue
            left.append(Open(rule, still_open))
            if not still_open and rule.action is not RuleAction.REPORT:
                break
        return EgressPolicy(left, has_withheld=has_withheld)

    def verdict(self) -> Verdict | None:
        """Returns the decision; None while an open rule may still change it."""
        reported: list[str] = []
        is_open = may_allow = False
        for rule, keys in self.rules:
            if rule.action is RuleAction.REPORT:
                if not (keys or is_open):
                    reported.append(rule.name)
            elif keys:
                is_open = True
                may_allow = may_allow or rule.action is RuleAction.ALLOW
            elif is_open and (may_allow or rule.action is RuleAction.ALLOW):
                return None
            else:
                return self._decided(rule, reported)
        return None if may_allow else Verdict(False, None, tuple(reported))

    def _decided(self, rule: Rule, reported: Sequence[str]) -> Verdict:
        is_allowed = rule.action is RuleAction.ALLOW
        is_class = not is_allowed and rule.name == DEFAULT and self.has_withheld
        return Verdict(is_allowed, None if is_class else rule, tuple(reported))

    @property
    def first_to_allow(self) -> Rule | None:
        """The first rule that may allow it."""
        return next((rule for rule, _ in self.rules if rule.action is RuleAction.ALLOW), None)

    def _candidates(self, host: str | Unknown) -> Iterable[Open]:
        """Yields the rules that may apply to *host*; many rules are found by an index of hosts."""
        if isinstance(host, Unknown) or len(self.rules) <= _FEW:
            return self.rules
        others, by_host = self._by_host
        found = [*others, *by_host.get(host, ())]
        _, dot, parent = host.partition(".")
        while dot:
            found += by_host.get(f"*.{parent}", ())
            _, dot, parent = parent.partition(".")
        return [self.rules[at] for at in sorted(set(found))]

    @cached_property
    def _by_host(self) -> tuple[list[int], dict[str, list[int]]]:
        """The indexes of rules for any host, and of the others by host."""
        others: list[int] = []
        by_host: dict[str, list[int]] = {}
        for at, (rule, keys) in enumerate(self.rules):
            entries = (
                [one.entry for one in rule.host.items if not one.takes_away] if rule.host else []
            )
            if not keys & _HOST or any(not entry.name for entry in entries):
                others.append(at)
                continue
            for entry in entries:
                name = f"*.{entry.name}" if entry.is_pattern else entry.name
                by_host.setdefault(name, []).append(at)
        return others, by_host


_FEW: Final = 16
"""Up to this number, rules are compared one after the other."""


def joint(policies: Iterable[EgressPolicy]) -> Verdict | None:
    """Returns the decision if all *policies* have to allow; None while it is open."""
    verdicts = [policy.verdict() for policy in policies]
    reported: dict[str, None] = {}
    for verdict in verdicts:
        if verdict is not None:
            reported |= dict.fromkeys(verdict.reported)
            if not verdict.is_allowed:
                return verdict._replace(reported=tuple(reported))
    first = verdicts[0]
    if first is None or None in verdicts:
        return None
    return first._replace(reported=tuple(reported))


def _compared(rule: Rule, keys: int, facts: Facts) -> int | None:
    """Returns the keys of *rule* that *facts* leave open; None if one does not match."""
    for bit, key in enumerate(_KEYS):
        if keys & 1 << bit and (fact := getattr(facts, key)) is not UNKNOWN:
            choice: Any = getattr(rule, key)
            if not choice.matches(fact):
                return None
            keys &= ~(1 << bit)
    if facts.is_guarded is False:
        keys &= ~_GUARD
    target = facts.target
    if isinstance(target, Unknown):
        return keys
    if keys & _TO and rule.to is not None:
        if isinstance(target, AtParent) or not rule.to.matches(Destination(target)):
            return None
        keys &= ~_TO
    if keys & _GUARD and not _is_withheld(rule, facts):
        keys &= ~_GUARD
    return keys


def _is_withheld(rule: Rule, facts: Facts) -> bool:
    """Returns True if *rule* may not allow the address, since it does not name the class."""
    target = facts.target
    if isinstance(target, Unknown | AtParent):
        return False
    if rule.to is not None:
        return not rule.to.matches(Destination(target, by_name=True))
    return target is None or target.kind not in ORDINARY
