"""How the kinds of work share one rate of a vendor. Pure; seconds are machine time since the epoch.

All tokens stand in one bucket (`burst` at most, refilled at the vendor's rate), so no division can ever send more than the
rate allows. Beside it each kind of work earns credit at its share of the rate. The rule:

- who has credit takes the next token; who has none may take one that nobody with credit waits for (idle tokens are lent);
- among those with credit, who waits longer goes first. A place is kept until its holder was told to come back, and a second.

So a kind within its share waits for at most one token of each other kind, however many calls the others want to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

GRACE = 1.0
"""Seconds that a place is kept beyond the moment its holder was told; a worker that died does not hold the others up."""

_TURNS = 5.0
"""Credit in tokens that is never cut off: with less, a kind that waits its turn would lose what it earns meanwhile."""

_EPSILON = 1e-9


class Work(StrEnum):
    """What a call is for: a person waits for it, an order does, or a report does."""

    INTERACTIVE = "interactive"
    PUSH = "push"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rate: `limit` tokens per `per` seconds, at most `burst` at once, and who gets how much of it in per cent."""

    limit: float
    per: float
    burst: float
    shares: Mapping[str, float]

    @property
    def speed(self) -> float:
        """Tokens per second."""
        return self.limit / self.per

    def share(self, work: str) -> float:
        """The part of the rate that a kind of work may rely on, between 0 and 1."""
        return self.shares.get(work, 0.0) / 100.0

    def most_credit(self, work: str) -> float:
        """Unused credit is kept up to the kind's part of the burst, and long enough to wait for the others' turns."""
        return max(_TURNS, self.share(work) * self.burst)


@dataclass(frozen=True, slots=True)
class Claim:
    """One kind of work at one bucket: its credit, since when it waits, and until when its place is kept."""

    credit: float
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The state of one bucket at `at`."""

    tokens: float
    at: float
    claims: Mapping[str, Claim] = field(default_factory=dict)


def take(bucket: Tokens, rule: Rule, work: str, now: float, cost: float = 1.0) -> tuple[Tokens, float]:
    """The bucket afterwards, and 0 when the tokens were taken, else the seconds after which to ask again."""
    bucket = refilled(bucket, rule, now)
    mine = bucket.claims[work]
    in_share = mine.credit >= cost - _EPSILON
    place = (mine.since if mine.since is not None else now, work if mine.since is not None else "~")
    ahead = [
        claim
        for name, claim in bucket.claims.items()
        if name != work
        and claim.since is not None
        and claim.credit >= 1.0 - _EPSILON
        and (not in_share or (claim.since, name) < place)
    ]
    needed = cost + len(ahead)
    if bucket.tokens >= needed - _EPSILON:
        spent = max(0.0, mine.credit - cost) if in_share else mine.credit
        return _with(replace(bucket, tokens=bucket.tokens - cost), work, Claim(spent)), 0.0
    wait = max((needed - bucket.tokens) / rule.speed, _EPSILON)
    if not in_share:
        earned = (cost - mine.credit) / (rule.speed * rule.share(work)) if rule.share(work) else wait
        return bucket, max(min(wait, earned), _EPSILON)
    return _with(bucket, work, Claim(mine.credit, place[0], now + wait + GRACE)), wait


def refilled(bucket: Tokens, rule: Rule, now: float) -> Tokens:
    """The bucket with what it earned since; a clock that steps back earns nothing. Places nobody came back for are gone."""
    elapsed = max(0.0, now - bucket.at)
    claims: dict[str, Claim] = {}
    for work in sorted({*rule.shares, *bucket.claims}):
        claim = bucket.claims.get(work) or Claim(rule.most_credit(work))
        kept = claim.until is not None and claim.until >= now
        claims[work] = Claim(
            credit=min(rule.most_credit(work), claim.credit + elapsed * rule.speed * rule.share(work)),
            since=claim.since if kept else None,
            until=claim.until if kept else None,
        )
    return Tokens(min(rule.burst, bucket.tokens + elapsed * rule.speed), max(now, bucket.at), claims)


def _with(bucket: Tokens, work: str, claim: Claim) -> Tokens:
    return replace(bucket, claims={**bucket.claims, work: claim})
