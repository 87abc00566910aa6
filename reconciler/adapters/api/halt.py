"""Stopping: once an apply is interrupted or its time is up, nothing new is sent and nothing is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from typing import Final

from reconciler.model.errors import HaltedError

GRACE: Final = 10.0
"""Seconds that a call which was sent may still take: only its answer tells what it did."""


class Halt:
    """The time from which nothing new may begin, in the event loop's seconds. At first there is none."""

    def __init__(self) -> None:
        self._at = math.inf
        self._why = ""
        self._reschedules: dict[Callable[[], None], None] = {}
        """In the order in which the waiting began."""

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
            for reschedule in tuple(self._reschedules):
                reschedule()

    def clear(self) -> None:
        self._at, self._why = math.inf, ""

    @contextlib.asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for something in this context, but not beyond the set time.

        Raises:
            HaltedError: the time has come.

        """
        if self.over:
            raise self.error()
        timeout = _timeout(self._at)
        try:
            async with self.limited(timeout, lambda: self._at):
                yield
        except TimeoutError:
            if timeout.expired():
                raise self.error() from None
            raise

    @contextlib.asynccontextmanager
    async def limited(self, limit: asyncio.Timeout, latest: Callable[[], float]) -> AsyncIterator[Callable[[], None]]:
        """A context that ends at ``latest()``, which is asked again when a time is set, and when what it gives is called."""

        def reschedule() -> None:
            if not limit.expired():
                limit.reschedule(_when(latest()))

        async with limit:
            self._reschedules[reschedule] = None
            try:
                yield reschedule
            finally:
                del self._reschedules[reschedule]


class Departure:
    """One request under way: how long it may take once the apply is to stop depends on whether it was sent."""

    def __init__(self, halt: Halt, *, acts: bool, sent: bool) -> None:
        self._halt = halt
        self._acts = acts
        self.sent = sent
        self._end = math.inf
        self._reschedule: Callable[[], None] | None = None

    @property
    def matters(self) -> bool:
        """Whether it may have done something, so that its answer is worth waiting for."""
        return self.sent and self._acts

    def _latest(self) -> float:
        return min(self._end, self._halt.at + (GRACE if self.matters else 0.0))

    @contextlib.asynccontextmanager
    async def under_way(self, end: float) -> AsyncIterator[None]:
        """A context for the request, until ``end`` in the loop's time at most. Raises TimeoutError."""
        self._end = end
        async with self._halt.limited(_timeout(self._latest()), self._latest) as self._reschedule:
            yield

    def leave(self) -> None:
        """Note that its first bytes are about to be sent. Raises HaltedError if they may not be."""
        if not self.sent and self._halt.over:
            raise self._halt.error()
        self.sent = True

    def until(self, end: float) -> None:
        """Let it take until ``end``, in the loop's time, instead."""
        self._end = end
        if self._reschedule is not None:
            self._reschedule()


def _when(at: float) -> float | None:
    return None if at == math.inf else at


def _timeout(at: float) -> asyncio.Timeout:
    return asyncio.timeout_at(_when(at))
