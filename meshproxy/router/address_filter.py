"""Which addresses of a client its requests may reach, by what is left of the egress rules."""

from collections.abc import Iterable
from typing import TypeAlias

from meshproxy.client.endpoint import show
from meshproxy.egress.addresses import Target, target_of
from meshproxy.egress.rules import EgressPolicy, Facts, Rule, Verdict, joint
from meshproxy.http.message import Request
from meshproxy.metrics.instruments import Counter
from meshproxy.naming.addr import Address
from meshproxy.router.passage import Refusal, passage_of

Policies: TypeAlias = tuple[EgressPolicy, ...]
"""What is left of the rules; all of them have to allow. The second is for where a dtab leads."""


class OpenRules:
    """The rules left open before a name is bound; each is a key by itself."""

    __slots__ = ("asked", "policy")

    def __init__(self, policy: EgressPolicy, asked: Facts) -> None:
        self.policy = policy
        self.asked = asked
        """What is known but for the host, if the request has a dtab that may lead elsewhere."""


class AddressFilter:
    """What *policies* say about the addresses of one client."""

    def __init__(self, policies: Policies, filtered: Counter) -> None:
        self._policies = policies
        self._filtered = filtered
        self._verdicts: dict[str, Verdict] = {}
        self._refusal: Refusal | None = None
        """Of an address that was left out."""
        self._rules: tuple[Rule, ...] = ()
        """Those that allow what is left."""

    def keep(self, addresses: Iterable[Address]) -> frozenset[Address]:
        """Returns those of *addresses* that may be connected to; counts the others."""
        self._verdicts, self._refusal, kept = {}, None, set()
        for address in sorted(addresses, key=lambda one: (one.host, one.port)):
            target = target_of(address.host)
            verdict = self._verdict(address, target)
            if verdict.is_allowed:
                self._verdicts[show(address)] = verdict
                kept.add(address)
            else:
                self._filtered.value += 1
                self._refusal = self._refusal or Refusal(verdict, _leads_to(address, target))
        found = [verdict.rule for verdict in self._verdicts.values()]
        self._rules = tuple(dict.fromkeys(rule for rule in found if rule is not None))
        return frozenset(kept)

    def admit(self, request: Request) -> None:
        """Notes what was decided about *request*. Raises Forbidden and RateLimited."""
        passage = passage_of(request)
        if not self._verdicts:
            if self._refusal is not None:
                raise passage.refuse(self._refusal)
            return
        passage.verdict = next(iter(self._verdicts.values()))
        passage.enter(self._rules)

    def note(self, request: Request) -> None:
        """Notes what was decided about the address that served *request*, if that differs."""
        verdict = self._verdicts.get(request.endpoint) if len(self._rules) > 1 else None
        if verdict is not None:
            passage_of(request).verdict = verdict

    def _verdict(self, address: Address, target: Target | None) -> Verdict:
        facts = Facts(port=address.port, target=target)
        verdict = joint(policy.given(facts) for policy in self._policies)
        return Verdict(False, None) if verdict is None else verdict


def _leads_to(address: Address, target: Target | None) -> str:
    if target is None:
        return f" leads to {address.host}, which is no address"
    kind = target.kind.value
    inside = f" ({target.address})" if str(target.address) != address.host else ""
    return f" leads to {address.host}{inside} port {address.port}, an address of the class {kind}"
