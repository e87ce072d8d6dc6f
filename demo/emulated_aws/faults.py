"""Faults to inject into the emulated AWS: what goes wrong, where, and how often."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Throttle:
    """Refuse the call with the service's own throttling error."""


@dataclass(slots=True)
class RateLimit:
    """Throttle what exceeds `rate` calls a second, after a burst of `burst`; a token bucket per account and region."""

    rate: float
    burst: int
    _buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def admits(self, account: str, region: str) -> bool:
        """Take a token from the bucket of this account and region, if it holds one."""
        now = time.monotonic()
        tokens, filled_at = self._buckets.get((account, region), (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - filled_at) * self.rate)
        admitted = tokens >= 1
        self._buckets[account, region] = (tokens - admitted, now)
        return admitted


@dataclass(frozen=True, slots=True)
class ServerError:
    """Answer with the service's own internal error and this HTTP status."""

    status: int = 500


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse the call with an error of the caller's choosing."""

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (a TCP RST) instead of answering."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Never answer."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Answer, but only after this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Expire:
    """Let session credentials expire at this age in seconds, whatever expiry AssumeRole announced."""

    after: float


@dataclass(frozen=True, slots=True)
class TruncatedBody:
    """Answer 200 with only the first half of the body, which is then neither JSON nor XML."""


@dataclass(frozen=True, slots=True)
class EmptyPage:
    """Answer a listing with an empty page that carries the token of the page it should have been."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Answer 200 with what `change` makes of the body."""

    change: Callable[[bytes], bytes]


Effect = (
    Throttle | RateLimit | ServerError | Refuse | Reset | Hang | Delay | Expire | TruncatedBody | EmptyPage | Rewrite
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One effect, and the calls that it strikes: all those that match every field given.

    `service` is the signing name (sts, organizations, ec2, ecr, kms, tagging). `probability` is the share of the
    matching calls; `times` limits it to that many first calls in each account and region.
    """

    effect: Effect
    service: str | None = None
    operation: str | None = None
    account: str | None = None
    region: str | None = None
    probability: float = 1.0
    times: int | None = None

    def matches(self, service: str, operation: str, account: str, region: str) -> bool:
        """Return whether this fault may strike a call."""
        return (
            self.service in (None, service)
            and self.operation in (None, operation)
            and self.account in (None, account)
            and self.region in (None, region)
        )


class Faults:
    """The faults of one emulated AWS. The same seed and the same order of calls give the same faults."""

    def __init__(self, faults: Sequence[Fault] = (), seed: int = 0) -> None:
        self._faults = tuple(faults)
        self._random = random.Random(seed)  # noqa: S311 -- chooses faults, guards nothing
        self._struck: Counter[tuple[int, str, str]] = Counter()

    def strike(self, service: str, operation: str, account: str, region: str) -> Iterator[Effect]:
        """Yield the effects that strike this call, in the order in which the faults were given.

        `account` is the caller's; `region` is the one that the request was signed for.
        """
        for number, fault in enumerate(self._faults):
            if not fault.matches(service, operation, account, region):
                continue
            key = (number, account, region)
            if fault.times is not None and self._struck[key] >= fault.times:
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            if isinstance(fault.effect, RateLimit) and fault.effect.admits(account, region):
                continue
            self._struck[key] += 1
            yield fault.effect
