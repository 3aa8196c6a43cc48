"""The egress decision about one request."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from meshproxy.egress.callers import Caller
from meshproxy.egress.limiter import Limiter
from meshproxy.egress.rules import DEFAULT, Rule, Verdict
from meshproxy.errors import Forbidden, ProxyError
from meshproxy.http.message import Request, Response
from meshproxy.http.peer import Peer

_KINDS: Final = {"DNS": "dns", "URI": "uri"}


class RateLimited(ProxyError):
    """The request is over the limit of a rule."""

    by_client = True
    status = 429
    reason = "rate_limited"
    seconds = 1
    """Seconds until another request is admitted."""

    @property
    def fields(self) -> tuple[tuple[bytes, bytes], ...]:  # type: ignore[override]
        """Returns Retry-After, in whole seconds."""
        return ((b"Retry-After", b"%d" % self.seconds),)


class Refusal(NamedTuple):
    """A decision that no request may go somewhere, and the reason."""

    verdict: Verdict
    where: str
    """The text after the host in the message."""


class Passage:
    """The decision about one request so far, and the limits it counts against."""

    __slots__ = ("_entered", "_limiters", "_peer", "decision", "host", "verdict")

    def __init__(
        self, limiters: Mapping[str, Limiter], host: str, verdict: Verdict, peer: Peer | None
    ) -> None:
        self._limiters = limiters
        self._peer = peer
        self._entered: tuple[tuple[Limiter, str], ...] = ()
        self.host = host
        self.verdict = verdict
        self.decision = "allow"

    @property
    def rule(self) -> str | None:
        """Returns the rule that decided."""
        rule = self.verdict.rule
        return rule.name if rule is not None else None

    @property
    def reported(self) -> tuple[str, ...]:
        """Returns the rules that would have denied it."""
        return self.verdict.reported

    @property
    def caller(self) -> str:
        """Returns the certificate's name that the rule matched, or its first, or the address."""
        caller = caller_of(self._peer)
        rule = self.verdict.rule
        matched = rule.caller.name_of(caller) if rule is not None and rule.caller else None
        if matched is None or matched == caller.address:
            return caller.names[0] if caller.names else caller.address
        return matched

    @property
    def is_limited(self) -> bool:
        """Returns True if it counts against a limit now."""
        return bool(self._entered)

    def show(self) -> str:
        """Returns the decision, the rule, what was reported, and the caller, as text."""
        rule = f" by {self.rule}" if self.rule is not None else ""
        reported = f", reported by {', '.join(self.reported)}" if self.reported else ""
        return f"{self.decision}{rule}{reported}, for {self.caller}"

    def enter(self, rules: Iterable[Rule]) -> None:
        """Counts against the limits of *rules*, once each. Raises RateLimited."""
        for rule in rules:
            limiter = self._limiters.get(rule.name)
            if limiter is None or any(one is limiter for one, _ in self._entered):
                continue
            caller = self.caller
            seconds = limiter.enter(caller)
            if seconds:
                self.verdict = self.verdict._replace(rule=rule)
                self.decision = "limit"
                whose = f" from {caller}" if limiter.limit.by_caller else ""
                error = RateLimited(
                    f"Over the limit of rule {rule.name} for requests{whose}: {self.host} may be "
                    f"asked again in {seconds} s"
                )
                error.seconds = seconds
                raise error
            self._entered += ((limiter, caller),)

    def leave(self, _broken: object = None) -> None:
        """Ends counting against limits."""
        entered, self._entered = self._entered, ()
        for limiter, caller in entered:
            limiter.leave(caller)

    def refuse(self, refusal: Refusal) -> Forbidden:
        """Returns the error for *refusal*."""
        self.decision, self.verdict = "deny", refusal.verdict
        rule = refusal.verdict.rule
        if rule is None:
            return Forbidden(f"Forbidden: {self.host}{refusal.where}")
        if rule.name == DEFAULT:
            return Forbidden(f"Forbidden by default: no rule allows {self.host}{refusal.where}")
        return Forbidden(f"Forbidden by rule {rule.name}: {self.host}{refusal.where}")


def refused(refusal: Refusal, request: Request) -> Response:
    """Raises Forbidden for *request*, which may not go where it is bound to."""
    raise passage_of(request).refuse(refusal)


def passage_of(request: Request) -> Passage:
    """Returns the passage of *request*. Raises Forbidden if nobody has judged it."""
    passage = request.egress
    if not isinstance(passage, Passage):
        raise Forbidden("Forbidden: no rules were asked about the request")
    return passage


def caller_of(peer: Peer | None) -> Caller:
    """Returns the client at the other end of *peer*."""
    if peer is None:
        return Caller("")
    certificate = peer.certificate
    found = certificate.names if certificate is not None else ()
    names = tuple(f"{_KINDS[kind]}:{name}" for kind, name in found if kind in _KINDS)
    return Caller(peer.remote.rpartition(":")[0].strip("[]"), names)
