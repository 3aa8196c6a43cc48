"""Filters the addresses of a client by the egress rules that are still open."""

from typing import TypeAlias

from meshproxy.client.endpoint import show
from meshproxy.egress.addresses import Target, target_of
from meshproxy.egress.rules import (
    AT_PARENT,
    AtParent,
    EgressPolicy,
    Facts,
    Rule,
    Verdict,
    joint,
)
from meshproxy.http.message import Request
from meshproxy.metrics.instruments import Counter
from meshproxy.naming.addr import Address
from meshproxy.router.passage import Refusal, passage_of

Policies: TypeAlias = tuple[EgressPolicy, ...]
"""The open rules; all policies have to allow. The second is for the host a dtab led to."""


class OpenRules:
    """The rules left open before a name is bound; each is a key by itself."""

    __slots__ = ("asked", "policy")

    def __init__(self, policy: EgressPolicy, asked: Facts) -> None:
        self.policy = policy
        self.asked = asked
        """The known facts except the host, if a dtab of the request may lead to another one."""


class AddressFilter:
    """The decisions of *policies* about a client's addresses; *filtered* counts refusals."""

    def __init__(self, policies: Policies, filtered: Counter) -> None:
        self._policies = policies
        self._filtered = filtered
        self._admitted: dict[Address, Verdict] = {}
        self._refused: dict[Address, Refusal] = {}
        self._verdicts: dict[str, Verdict] = {}
        """The decisions about admitted addresses, by `host:port`."""
        self._rules: tuple[Rule, ...] = ()
        """The rules that allow them."""

    def admits(self, address: Address) -> bool:
        """Returns True if *address* may be connected to."""
        verdict, refusal = self._judged(address)
        if refusal is None:
            self._admitted[address] = verdict
        else:
            self._filtered.value += 1
            self._refused[address] = refusal
        return refusal is None

    def forget(self, address: Address) -> None:
        """Forgets an address that is gone."""
        self._admitted.pop(address, None)
        self._refused.pop(address, None)

    def settle(self) -> None:
        """Applies the changes since the last call to requests from now on."""
        self._verdicts = {show(address): verdict for address, verdict in self._admitted.items()}
        found = [verdict.rule for verdict in self._verdicts.values()]
        self._rules = tuple(dict.fromkeys(rule for rule in found if rule is not None))

    def admit(self, request: Request) -> None:
        """Records the decision about *request*. Raises Forbidden and RateLimited."""
        passage = passage_of(request)
        if not self._verdicts:
            if self._refused:
                raise passage.refuse(next(iter(self._refused.values())))
            return
        passage.verdict = next(iter(self._verdicts.values()))
        passage.enter(self._rules)

    def note(self, request: Request) -> None:
        """Records the decision about the address that served *request*, if it differs."""
        verdict = self._verdicts.get(request.endpoint) if len(self._rules) > 1 else None
        if verdict is not None:
            passage_of(request).verdict = verdict

    def _judged(self, address: Address) -> tuple[Verdict, Refusal | None]:
        """Returns the decision about *address*, and the refusal if there is one.

        A name that a parent proxy looks up may lead to any of the addresses found here, so all of
        them have to be allowed.
        """
        if not address.reached:
            verdict = self._verdict(address.port, AT_PARENT)
            where = " is unknown here, and no rule allows it wherever a parent proxy finds it"
            return verdict, None if verdict.is_allowed else Refusal(verdict, where)
        verdicts = []
        for one in address.reached:
            target = target_of(one.host)
            verdict = self._verdict(address.port, target)
            if not verdict.is_allowed:
                return verdict, Refusal(verdict, _leads_to(one, target))
            verdicts.append(verdict)
        return verdicts[0], None

    def _verdict(self, port: int, target: Target | AtParent | None) -> Verdict:
        facts = Facts(port=port, target=target)
        verdict = joint(policy.given(facts) for policy in self._policies)
        return Verdict(False, None) if verdict is None else verdict


def _leads_to(address: Address, target: Target | None) -> str:
    if target is None:
        return f" leads to {address.host}, which is no address"
    kind = target.kind.value
    inside = f" ({target.address})" if str(target.address) != address.host else ""
    return f" leads to {address.host}{inside} port {address.port}, an address of the class {kind}"
