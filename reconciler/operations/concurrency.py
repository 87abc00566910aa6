"""Running several calls at once, so that none outlives the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def run_all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all of ``work``; the results are in its order.

    When one fails, or this is cancelled, the others are cancelled and awaited before the first error is raised:
    ``asyncio.gather`` leaves them running, and they would go on to use requests and connections that nobody waits for.
    """
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    if not tasks:
        return []
    try:
        return await asyncio.gather(*tasks)
    finally:
        await cancel_all(*tasks)


async def cancel_all(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended, however they end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
