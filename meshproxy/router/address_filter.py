"""Which addresses of a client its requests may reach, by what is left of the egress rules."""

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
"""What is left of the rules; all of them have to allow. The second is for where a dtab leads."""


class OpenRules:
    """The rules left open before a name is bound; each is a key by itself."""

    __slots__ = ("asked", "policy")

    def __init__(self, policy: EgressPolicy, asked: Facts) -> None:
        self.policy = policy
        self.asked = asked
        """What is known but for the host, if the request has a dtab that may lead elsewhere."""


class AddressFilter:
    """What *policies* say about the addresses of one client; *filtered* counts the refused ones."""

    def __init__(self, policies: Policies, filtered: Counter) -> None:
        self._policies = policies
        self._filtered = filtered
        self._admitted: dict[Address, Verdict] = {}
        self._refused: dict[Address, Refusal] = {}
        self._verdicts: dict[str, Verdict] = {}
        """Of the admitted addresses, as requests name them."""
        self._rules: tuple[Rule, ...] = ()
        """Those that allow them."""

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
        """Applies what was decided and forgotten to the requests from now on."""
        self._verdicts = {show(address): verdict for address, verdict in self._admitted.items()}
        found = [verdict.rule for verdict in self._verdicts.values()]
        self._rules = tuple(dict.fromkeys(rule for rule in found if rule is not None))

    def admit(self, request: Request) -> None:
        """Notes what was decided about *request*. Raises Forbidden and RateLimited."""
        passage = passage_of(request)
        if not self._verdicts:
            if self._refused:
                raise passage.refuse(next(iter(self._refused.values())))
            return
        passage.verdict = next(iter(self._verdicts.values()))
        passage.enter(self._rules)

    def note(self, request: Request) -> None:
        """Notes what was decided about the address that served *request*, if that differs."""
        verdict = self._verdicts.get(request.endpoint) if len(self._rules) > 1 else None
        if verdict is not None:
            passage_of(request).verdict = verdict

    def _judged(self, address: Address) -> tuple[Verdict, Refusal | None]:
        """Returns what was decided about *address*, and why no request may go there, if so.

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
