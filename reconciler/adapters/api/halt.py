"""Giving up: once an apply is interrupted or its time is over, nothing new leaves, and nothing is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from reconciler.model.errors import HaltedError

GRACE: Final = 10.0
"""Seconds that a call which has left may still take: only its answer tells what it did."""


class Halt:
    """When nothing new may begin. Times are the event loop's, in seconds; at first there is no such time."""

    def __init__(self) -> None:
        self._at = math.inf
        self._why = ""
        self._calls: set[Callable[[], None]] = set()

    @property
    def at(self) -> float:
        return self._at

    @property
    def over(self) -> bool:
        return self._at <= asyncio.get_running_loop().time()

    def error(self) -> HaltedError:
        return HaltedError(self._why)

    def set(self, at: float, why: str) -> None:
        """Begin nothing from ``at`` on; an earlier time that was set before stays."""
        if at < self._at:
            self._at, self._why = at, why
            for hurry in tuple(self._calls):
                hurry()

    def clear(self) -> None:
        self._at, self._why = math.inf, ""

    @contextlib.contextmanager
    def told(self, hurry: Callable[[], None]) -> Iterator[None]:
        """``hurry`` is called when the time is set, or set earlier, within."""
        self._calls.add(hurry)
        try:
            yield
        finally:
            self._calls.discard(hurry)

    @contextlib.asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for something within, but not beyond that time.

        Raises:
            HaltedError: the time has come.

        """
        if self.over:
            raise self.error()
        limit = asyncio.timeout_at(None if self._at == math.inf else self._at)

        def hurry() -> None:
            if not limit.expired():
                limit.reschedule(self._at)

        try:
            async with limit:
                with self.told(hurry):
                    yield
        except TimeoutError:
            if limit.expired():
                raise self.error() from None
            raise


class Departure:
    """One request on its way: how long it may take once the apply is to halt depends on whether it has left."""

    def __init__(self, halt: Halt, *, acts: bool, left: bool) -> None:
        self._halt = halt
        self._acts = acts
        self.left = left
        self.whole: asyncio.Timeout | None = None

    @property
    def matters(self) -> bool:
        """Whether it may have done something, so that its answer is worth waiting for."""
        return self.left and self._acts

    @property
    def latest(self) -> float:
        """In the loop's time."""
        return self._halt.at + (GRACE if self.matters else 0.0)

    def leave(self) -> None:
        """Its first bytes are about to leave. Raises HaltedError where they may not."""
        if not self.left and self._halt.over:
            raise self._halt.error()
        self.left = True

    def until(self, end: float) -> None:
        if self.whole is not None and not self.whole.expired():
            self.whole.reschedule(min(end, self.latest))

    def hurry(self) -> None:
        end = self.whole.when() if self.whole is not None else None
        self.until(math.inf if end is None else end)
