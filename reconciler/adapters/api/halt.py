"""Stopping: once an apply is interrupted or its time is up, nothing new is sent and nothing is waited for."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from reconciler.model.errors import HaltedError

GRACE: Final = 10.0
"""Seconds that a call which was sent may still take: only its answer tells what it did."""


class Halt:
    """The time from which nothing new may begin, in the event loop's seconds. At first there is none."""

    def __init__(self) -> None:
        self._at = math.inf
        self._why = ""
        self.limits: dict[Limit, None] = {}
        """What it ends, in the order in which that began."""

    @property
    def at(self) -> float:
        return self._at

    @property
    def over(self) -> bool:
        return self._at <= asyncio.get_running_loop().time()

    def error(self) -> HaltedError:
        return HaltedError(self._why)

    def set(self, at: float, why: str) -> None:
        """Begin nothing from ``at`` on. An earlier time that was set before stays."""
        if at < self._at:
            self._at, self._why = at, why
            for limit in tuple(self.limits):
                limit.renew()

    def clear(self) -> None:
        self._at, self._why = math.inf, ""

    def waiting(self) -> Waiting:
        """A context to wait for something in, but not beyond the set time."""
        return Waiting(self, lambda: self._at)


class Limit:
    """A context that ends at ``latest()``, which is asked again when a time is set, and by :meth:`renew`."""

    def __init__(self, halt: Halt, latest: Callable[[], float]) -> None:
        self._halt = halt
        self._latest = latest
        self._timeout = asyncio.timeout_at(_when(latest()))
        self.expired = self._timeout.expired

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._halt.limits[self] = None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._halt.limits[self]
        await self._timeout.__aexit__(kind, error, trace)

    def renew(self) -> None:
        if not self.expired():
            self._timeout.reschedule(_when(self._latest()))


class Waiting(Limit):
    """See :meth:`Halt.waiting`.

    Raises:
        HaltedError: the time has come.

    """

    async def __aenter__(self) -> Self:
        if self._halt.over:
            raise self._halt.error()
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        late = isinstance(error, TimeoutError)
        try:
            await super().__aexit__(kind, error, trace)
        except TimeoutError:
            late = True
        if late and self.expired():
            raise self._halt.error() from None


class Departure:
    """One request under way: how long it may take once the apply is to stop depends on whether it was sent."""

    def __init__(self, halt: Halt, *, acts: bool, sent: bool) -> None:
        self._halt = halt
        self._acts = acts
        self.sent = sent
        self._end = math.inf
        self._limit: Limit | None = None

    @property
    def matters(self) -> bool:
        """Whether it may have done something, so that its answer is worth waiting for."""
        return self.sent and self._acts

    def _latest(self) -> float:
        return min(self._end, self._halt.at + (GRACE if self.matters else 0.0))

    def under_way(self, end: float) -> Limit:
        """A context for the request, until ``end`` in the loop's time at most. Raises TimeoutError."""
        self._end = end
        self._limit = Limit(self._halt, self._latest)
        return self._limit

    def leave(self) -> None:
        """Note that its first bytes are about to be sent. Raises HaltedError if they may not be."""
        if not self.sent and self._halt.over:
            raise self._halt.error()
        self.sent = True

    def until(self, end: float) -> None:
        """Let it take until ``end``, in the loop's time, instead."""
        self._end = end
        if self._limit is not None:
            self._limit.renew()


def _when(at: float) -> float | None:
    return None if at == math.inf else at
