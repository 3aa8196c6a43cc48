"""Evaluates the egress rules of a router: before binding, at the bound name, at addresses.

What a refusal was for is counted here, once for each request, and nowhere below: it touches no
breaker, balancer or statistic of a client.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias

from meshproxy.config.egress import EgressConfig
from meshproxy.discovery.hostname import full_form
from meshproxy.egress.addresses import target_of
from meshproxy.egress.hosts import host_of, normalised
from meshproxy.egress.limiter import Limiter
from meshproxy.egress.rules import (
    DEFAULT,
    UNKNOWN,
    EgressPolicy,
    Facts,
    Rule,
    RuleAction,
    Unknown,
    Verdict,
    joint,
)
from meshproxy.errors import LoopDetected
from meshproxy.http.authority import canonical
from meshproxy.http.headers import value_of
from meshproxy.http.memo import Memo
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path
from meshproxy.router.address_filter import OpenRules, Policies
from meshproxy.router.passage import Passage, Refusal, caller_of

JudgedPath: TypeAlias = tuple[Path, Dtab | None, OpenRules]
_REMEMBERED: Final = 4096


class Judgement(NamedTuple):
    """The decision about requests with equal facts, before their name is looked up."""

    host: str
    open: OpenRules
    verdict: Verdict
    """While it is open: that of the first rule that may allow the request."""


class Judged(NamedTuple):
    """A decision as far as it is known."""

    verdict: Verdict | None
    """None if it depends on what is not known: who asks, for example."""

    def describe(self) -> dict[str, Any]:
        """Returns `decision`, which is `allow`, `deny` or `depends`, `rule` and `reported`."""
        verdict = self.verdict
        if verdict is None:
            return {"decision": "depends", "rule": None, "reported": []}
        return {
            "decision": "allow" if verdict.is_allowed else "deny",
            "rule": verdict.rule.name if verdict.rule is not None else None,
            "reported": list(verdict.reported),
        }


class Gate:
    """The rules, limits and counters of one router; it takes over limiters of *before*."""

    def __init__(
        self,
        config: EgressConfig,
        metrics: Tree,
        before: "Gate | None" = None,
        *,
        names_by_host: bool = True,
    ) -> None:
        self._names_by_host = names_by_host
        """True if names are made of Host; otherwise the host that a name leads to is judged too."""
        self.policy = config.policy()
        self._rules = {one.rule for one in self.policy.rules}
        earlier = before.limiters_of(self._rules) if before is not None else {}
        self._limiters = {
            rule.name: earlier.get(rule.name) or Limiter(rule.limit)
            for rule in self._rules
            if rule.limit is not None
        }
        self._by_method = any(rule.method for rule in self._rules)
        self._by_caller = any(rule.caller for rule in self._rules)
        self._judged: Memo[tuple[Any, ...], Judgement] = Memo(_REMEMBERED)
        self._alike: Memo[tuple[EgressPolicy, Facts], OpenRules] = Memo(_REMEMBERED)
        self._metrics = metrics.scope("egress")
        self._reasons = self._metrics.scope("reason")
        self._allowed = self._metrics.counter("allowed")
        self._counts = {
            rule.name: self._metrics.scope("rule", rule.name).counter("allowed")
            for rule in self._rules
            if rule.action is RuleAction.ALLOW
        }
        self.filtered = self._metrics.counter("filtered")

    def limiters_of(self, rules: Iterable[Rule]) -> dict[str, Limiter]:
        """Returns the limiters of the rules that it has in common with *rules*."""
        limiters = self._limiters
        names = [rule.name for rule in rules if rule in self._rules]
        return {name: limiters[name] for name in names if name in limiters}

    def knows(self, policies: Policies) -> bool:
        """Returns True if all rules in *policies* are its own."""
        return all(one.rule in self._rules for policy in policies for one in policy.rules)

    def serve(
        self, path: Path, request: Request, serve: Callable[[JudgedPath, Request], Response]
    ) -> Response:
        """Serves *request*, named *path*, if the rules allow it. Raises ProxyError."""
        judged = self._judge(path, request)
        verdict = judged.verdict
        request.egress = passage = Passage(self._limiters, judged.host, verdict, request.peer)
        if not verdict.is_allowed:
            request.dst = path
            refused = passage.refuse(Refusal(verdict, f" ({path.show()})"))
            self._count(passage, refused)
            raise refused
        try:
            response = serve((path, request.local_dtab, judged.open), request)
        except BaseException as error:
            if isinstance(error, LoopDetected):
                passage.decision, passage.verdict = "deny", Verdict(False, None)
            self._count(passage, error)
            passage.leave()
            raise
        _, rule, reported = passage.verdict
        if rule is None or reported:
            self._count(passage, None)
        else:
            self._allowed.value += 1
            self._counts[rule.name].value += 1
        if passage.is_limited:
            if response.ending is not None and not response.ending.has_come:
                response.ending.then(passage.leave)
            else:
                passage.leave()
        return response

    def judge(
        self,
        path: Path,
        request: Request | None = None,
        bound: Bound | None = None,
        address: Address | None = None,
    ) -> "Judged":
        """Returns what the rules say as far as this is known; it counts nothing."""
        asked = Facts(service=path)
        if request is not None:
            host = request.headers.get(b"host") or b""
            try:
                name = host_of(canonical(host).decode("latin-1")) if host else ""
            except ValueError:
                return Judged(Verdict(False, None))
            asked = replace(asked, method=request.method, host=name)
        policy = self.policy.given(asked)
        if bound is None:
            return Judged(policy.verdict())
        left = self.at_bound(bound, OpenRules(policy, asked))
        if isinstance(left, Refusal):
            return Judged(left.verdict)
        if address is not None:
            facts = Facts(port=address.port, target=target_of(address.host))
            left = tuple(one.given(facts) for one in left)
        return Judged(joint(left))

    def at_bound(self, bound: Bound, rules: OpenRules) -> Policies | Refusal:
        """Returns the policies that are left of *rules* for *bound*, or the refusal."""
        try:
            host, port = host_and_port(bound.id)
        except ValueError as error:
            return Refusal(Verdict(False, None), f" is led to {bound.show()}: {error}")
        facts = Facts(client=bound.id, port=port, is_guarded=bound.chosen_by is ChosenBy.REQUEST)
        left = [rules.policy.given(facts)]
        if bound.is_steered or (facts.is_guarded is True and not self._names_by_host):
            left.append(self.policy.given(replace(rules.asked, host=host)).given(facts))
        verdict = joint(left)
        if verdict is not None and not verdict.is_allowed:
            return Refusal(verdict, f" bound to {bound.show()}")
        return tuple(left)

    def _judge(self, path: Path, request: Request) -> Judgement:
        names = request.headers.names
        line = request.headers.lines[names.index(b"host")] if b"host" in names else b""
        key = (
            path,
            line,
            request.method if self._by_method else None,
            caller_of(request.peer) if self._by_caller else None,
            request.local_dtab is not None,
        )
        judged = self._judged.get(key)
        if judged is None:
            judged = self._judged.keep(key, self._judgement(path, line, request))
        return judged

    def _judgement(self, path: Path, line: bytes, request: Request) -> Judgement:
        authority = value_of(line)
        shown = authority.decode("latin-1")
        asked = Facts(
            service=path,
            method=request.method if self._by_method else UNKNOWN,
            caller=caller_of(request.peer) if self._by_caller else UNKNOWN,
        )
        try:
            host = host_of(canonical(authority).decode("latin-1")) if authority else ""
        except ValueError:  # numbers that a resolver might take for an address
            shown += ", a number that some take for an address,"
            return Judgement(shown, OpenRules(self.policy, asked), Verdict(False, None))
        policy = self.policy.given(replace(asked, host=host))
        verdict = policy.verdict() or Verdict(True, policy.first_to_allow)
        keeps_asked = request.local_dtab is not None or not self._names_by_host
        rules = self._open(policy, asked if keeps_asked else Facts())
        return Judgement(host or path.show(), rules, verdict)

    def _open(self, policy: EgressPolicy, asked: Facts) -> OpenRules:
        """Returns one object for equal arguments, since comparing keys by identity is cheap."""
        key = (policy, asked)
        found = self._alike.get(key)
        return self._alike.keep(key, OpenRules(policy, asked)) if found is None else found

    def _count(self, passage: Passage, error: BaseException | None) -> None:
        rule = passage.rule
        match passage.decision:
            case "allow":
                self._allowed.value += 1
                if rule is not None:
                    self._counts[rule].value += 1
            case "deny":
                self._count_rule("denied", rule)
                if not isinstance(error, LoopDetected):  # which its guard has counted
                    reason = "address" if rule is None else DEFAULT if rule == DEFAULT else "rule"
                    self._reasons.counter(reason).value += 1
            case _:
                self._count_rule("limited", rule)
                self._reasons.counter("limit").value += 1
        if passage.reported:
            self._metrics.counter("reported").value += 1
            for name in passage.reported:
                self._metrics.counter("rule", name, "reported").value += 1

    def _count_rule(self, what: str, rule: str | None) -> None:
        self._metrics.counter(what).value += 1
        if rule is not None:
            self._metrics.counter("rule", rule, what).value += 1


def host_and_port(bound_id: Path) -> tuple[str, int | Unknown]:
    """Returns the host and port of an id below `/$/`; no host, and an unknown port, for others.

    Raises ValueError for a host that only some would read as an address.
    """
    match [segment.decode("latin-1") for segment in bound_id]:
        case ["$", "io.buoyant.rinet", port, host, *_]:
            return normalised(host), _port(port)
        case ["$", "inet" | "fixedinet", port]:
            return "127.0.0.1", _port(port)
        case ["$", "inet" | "fixedinet", host, port, *_]:
            return normalised(full_form(host)), _port(port)
    return "", UNKNOWN


def _port(text: str) -> int | Unknown:
    return int(text) if text.isascii() and text.isdigit() else UNKNOWN
