"""Retry budgets: how many retries recent traffic allows (finagle: service/RetryBudget.scala).

Integer tokens in a window that drops deposits and withdrawals alike after the time to live.
"""

import time
from collections.abc import Callable
from typing import Final

SCALE: Final = 1000
"""Tokens that one request deposits."""
SLICES: Final = 10
"""Slices of a retry budget's window."""


class WindowedAdder:
    """A sum over a sliding window of *slices*, dropped one by one (twitter/util: WindowedAdder).

    Slices advance on access, not on a schedule.
    """

    __slots__ = ("_ends", "_index", "_now", "_old", "_slice_s", "_slots", "_writer")

    def __init__(
        self,
        window_s: int,
        now: Callable[[], float] = time.monotonic,
        slices: int = SLICES,
    ) -> None:
        self._slice_s = window_s / slices
        self._now = now
        self._writer = 0
        self._slots = [0] * (slices - 1)
        self._index = 0
        self._old = now()
        self._ends = self._old + self._slice_s
        """When the present slice does."""

    def add(self, amount: int) -> None:
        """Adds *amount*, which may be negative, to the present slice."""
        now = self._now()
        if now >= self._ends:
            self._turn(now)
        self._writer += amount

    def sum(self) -> int:
        """Returns the sum of about the last window."""
        now = self._now()
        if now >= self._ends:
            self._turn(now)
        return self._writer + sum(self._slots)

    def _turn(self, now: float) -> None:
        slots = self._slots
        slots[self._index] = self._writer
        self._writer = 0
        self._index = (self._index + 1) % len(slots)
        skipped = min(int((now - self._old) / self._slice_s) - 1, len(slots))
        for _ in range(skipped):
            slots[self._index] = 0
            self._index = (self._index + 1) % len(slots)
        self._old = now
        self._ends = now + self._slice_s


class RetryBudget(WindowedAdder):
    """Retries as a share of requests, above a reserve that is independent of traffic.

    *ttl_s* 1 to 60; *min_retries_per_s* at least 0; *percent_can_retry* 0 to 1000, a ratio in
    spite of its name (0.2 is one retry for five requests). Raises ValueError outside these bounds.
    """

    __slots__ = ("deposit_tokens", "reserve_tokens", "withdraw_tokens")

    def __init__(
        self,
        ttl_s: int = 10,
        min_retries_per_s: int = 10,
        percent_can_retry: float = 0.2,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 1 <= ttl_s <= 60:
            raise ValueError(f"ttlSecs must be 1 to 60, not {ttl_s}")
        if min_retries_per_s < 0:
            raise ValueError(f"minRetriesPerSec must not be negative: {min_retries_per_s}")
        if not 0 <= percent_can_retry <= 1000:
            raise ValueError(f"percentCanRetry must be 0 to 1000, not {percent_can_retry}")
        self.deposit_tokens = SCALE if percent_can_retry else 0
        self.withdraw_tokens = int(SCALE / percent_can_retry) if percent_can_retry else 1
        self.reserve_tokens = min_retries_per_s * ttl_s * self.withdraw_tokens
        super().__init__(ttl_s, now)

    def deposit(self, now: float) -> None:
        """Deposits for one request, sent at monotonic second *now*."""
        if now >= self._ends:  # as in `add`: every request comes here twice
            self._turn(now)
        self._writer += self.deposit_tokens

    def try_withdraw(self) -> bool:
        """Withdraws the price of one retry. Returns False if the balance is too low."""
        if self.reserve_tokens + self.sum() < self.withdraw_tokens:
            return False
        self.add(-self.withdraw_tokens)
        return True

    def balance(self) -> int:
        """Returns the retries possible now; negative if deposits expired before withdrawals."""
        count = self.reserve_tokens + self.sum()
        whole = abs(count) // self.withdraw_tokens
        return whole if count >= 0 else -whole

    def requeue_limit(self) -> int:
        """Returns the requeues for a single request: a fifth of the balance, rounded up."""
        return max(-(-self.balance() // 5), 0)
