"""An event loop whose time jumps to the next timer as soon as there is nothing else to do.

``run(coroutine)`` is ``asyncio.run`` in virtual seconds: it starts at 0, ``asyncio.sleep(3600)`` takes no time, and
``asyncio.get_running_loop().time()`` tells exactly how long all took. Sockets of the same process work (each jump then
waits ``GRACE`` real seconds for something to arrive), so do threads of ``run_in_executor`` and ``to_thread``. Other
processes, and threads that anyio starts, are not waited for: use the ordinary loop with those.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

GRACE = 0.01
"""Real seconds without an event after which open sockets count as quiet."""


class _Selector(selectors.DefaultSelector):
    """Waits for real events without letting real time pass; reports what would have been waited to ``skip``."""

    def __init__(self, skip: Callable[[float], None]) -> None:
        super().__init__()
        self._skip = skip
        self.in_threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None or self.in_threads:
            return super().select(None)
        if len(self.get_map()) > 1:  # more than the pipe that wakes the loop itself
            ready = super().select(GRACE)
        if not ready:
            self._skip(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual_now = 0.0
        self._virtual_selector = _Selector(self._skip)
        super().__init__(self._virtual_selector)

    def _skip(self, seconds: float) -> None:
        self._virtual_now += max(0.0, seconds)

    def time(self) -> float:
        return self._virtual_now

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        future = super().run_in_executor(executor, func, *args)
        self._virtual_selector.in_threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads in real time: from Python 3.12 on there is a time limit, which would be jumped over."""
        self._virtual_selector.in_threads += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._virtual_selector.in_threads -= 1

    def _thread_done(self, _: asyncio.Future[Any]) -> None:
        self._virtual_selector.in_threads -= 1


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to its end on a fresh loop of virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(coroutine)
