"""Rules and requests out of bytes, and a judge that knows everything at once and is simple."""

from collections.abc import Iterator
from itertools import cycle, islice

from meshproxy.egress.addresses import ORDINARY, Target, target_of
from meshproxy.egress.callers import Caller, Callers, RangeEntry, read_caller
from meshproxy.egress.entries import Choice, HostEntry, Item, MethodEntry, PathEntry, PortEntry
from meshproxy.egress.rules import (
    AT_PARENT,
    DEFAULT,
    EgressPolicy,
    Facts,
    Rule,
    RuleAction,
    Verdict,
)
from meshproxy.egress.targets import Destination, TargetEntry
from meshproxy.naming.path import Path

MAX_RULES = 24
"""More than those that are found by their host."""
HOSTS = ["a.test", "*.a.test", "*", "!b.a.test", "10.0.0.1", "*.test", "!a.test", "c.b.a.test"]
PATHS = ["/svc", "/svc/a.test", "/", "!/svc/a.test", "/$/inet", "/#", "/svc/*/b", "!/$"]
PORTS = ["80", "443", "1-1000", "!443", "0-65535", "!1-100", "6000-6999", "22"]
METHODS = ["GET", "POST", "CONNECT", "!GET", "HEAD", "PUT", "!PUT", "x"]
TARGETS = [
    "public",
    "private",
    "!10.0.0.0/8",
    "127.0.0.0/8",
    "metadata",
    "0.0.0.0/0",
    "::/0",
    "!public",
]
CALLERS = [
    "10.0.0.0/8",
    "::1",
    "dns:a.test",
    "uri:spiffe://a/*",
    "!uri:spiffe://a/b",
    "!10.1.0.0/16",
    "dns:*.test",
    "0.0.0.0/0",
]
ADDRESSES = [
    "8.8.8.8",
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "::1",
    "fd00:ec2::254",
    "64:ff9b::7f00:1",
    "name",
]


class Case:
    """A policy, a request, and all that is known of it, step by step."""

    def __init__(self, data: bytes) -> None:
        self._bytes = cycle(data or b"\0")
        self.rules = [self._rule(f"r{at}") for at in range(self._next() % MAX_RULES)]
        self.default = (RuleAction.ALLOW, RuleAction.DENY, RuleAction.REPORT)[self._next() % 3]
        self.facts = self._facts()

    def steps(self) -> Iterator[Facts]:
        """Yield what becomes known, in the order in which it does."""
        every = self.facts
        yield Facts(service=every.service, method=every.method, caller=every.caller)
        yield Facts(host=every.host)
        yield Facts(client=every.client, is_guarded=every.is_guarded)
        yield Facts(port=every.port, target=every.target)

    def _next(self) -> int:
        return next(self._bytes)

    def _rule(self, name: str) -> Rule:
        action = (RuleAction.ALLOW, RuleAction.DENY, RuleAction.REPORT)[self._next() % 3]
        callers = self._texts(CALLERS)
        return Rule(
            name=name,
            action=action,
            host=self._choice(HOSTS, HostEntry),
            service=self._choice(PATHS, PathEntry),
            method=self._choice(METHODS, MethodEntry),
            caller=_callers(callers) if callers else None,
            client=self._choice(PATHS, PathEntry),
            port=self._choice(PORTS, PortEntry),
            to=self._choice(TARGETS, TargetEntry),
        )

    def _texts(self, texts: list[str]) -> list[str]:
        """Draw none of them two times out of three, else one to three."""
        number = self._next()
        if number % 3:
            return []
        return list(islice(cycle(texts), number % 8, number % 8 + 1 + number % 3))

    def _choice(self, texts: list[str], kind: type) -> Choice | None:
        drawn = self._texts(texts)
        items = [Item(kind.parse(text.removeprefix("!")), text.startswith("!")) for text in drawn]
        return Choice(tuple(items)) if items else None

    def _facts(self) -> Facts:
        hosts = ["a.test", "b.a.test", "c.b.a.test", "10.0.0.1", "", "other", "test", "x.test"]
        names = [(), ("dns:A.test",), ("uri:spiffe://a/b", "dns:x.test"), ("uri:spiffe://a/c",)]
        remote = ["10.0.0.1", "::ffff:10.1.0.1", "::1", "8.8.8.8"]
        paths = ["/svc/a.test", "/svc/x/b", "/$/inet/a.test/80", "/#/io.l5d.fs/web"]
        return Facts(
            host=hosts[self._next() % 8],
            service=Path.parse(paths[self._next() % 4]),
            method=[b"GET", b"CONNECT", b"PUT", b"x"][self._next() % 4],
            caller=Caller(remote[self._next() % 4], names[self._next() % 4]),
            client=Path.parse(paths[self._next() % 4]),
            is_guarded=self._next() % 4 > 0,
            port=[80, 443, 6500, 8080][self._next() % 4],
            target=AT_PARENT if (drawn := self._next() % 9) == 8 else target_of(ADDRESSES[drawn]),
        )


def judged_at_once(case: Case) -> Verdict:
    """Return what becomes of the request when every rule is tried in turn, everything known."""
    reported: list[str] = []
    withheld = False
    for rule in case.rules:
        if not _applies(rule, case.facts):
            continue
        if rule.action is RuleAction.REPORT:
            reported.append(rule.name)
        elif rule.action is RuleAction.DENY:
            return Verdict(False, rule, tuple(reported))
        elif _is_covered(rule, case.facts):
            return Verdict(True, rule, tuple(reported))
        else:
            withheld = True
    allows = Rule(name=DEFAULT, action=RuleAction.ALLOW)
    if case.default is RuleAction.DENY:
        denies = Rule(name=DEFAULT, action=RuleAction.DENY)
        return Verdict(False, None if withheld else denies, tuple(reported))
    if case.default is RuleAction.REPORT:
        reported.append(DEFAULT)
    is_covered = _is_covered(allows, case.facts)
    return Verdict(is_covered, allows if is_covered else None, tuple(reported))


def _applies(rule: Rule, facts: Facts) -> bool:
    keys = ("host", "service", "method", "caller", "client", "port")
    pairs = [(getattr(rule, key), getattr(facts, key)) for key in keys]
    return all(choice is None or choice.matches(fact) for choice, fact in pairs) and (
        rule.to is None
        or (facts.target is not AT_PARENT and rule.to.matches(Destination(facts.target)))
    )


def _is_covered(rule: Rule, facts: Facts) -> bool:
    """Whether *rule* may allow the address, by its class."""
    target = facts.target
    if facts.is_guarded is False or target is AT_PARENT:
        return True
    if rule.to is not None:
        return rule.to.matches(Destination(target, by_name=True))
    return isinstance(target, Target) and target.kind in ORDINARY


def _callers(texts: list[str]) -> Callers:
    items = [Item(read_caller(text.removeprefix("!")), text.startswith("!")) for text in texts]
    ranges = tuple(item for item in items if isinstance(item.entry, RangeEntry))
    names = tuple(item for item in items if not isinstance(item.entry, RangeEntry))
    return Callers(Choice(ranges), Choice(names))


def policy_of(case: Case) -> EgressPolicy:
    """Return the policy of *case*, nothing known."""
    return EgressPolicy.of(case.rules, case.default)
