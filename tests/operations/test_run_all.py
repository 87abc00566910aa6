"""Calls made at once end together."""

import asyncio

import pytest

from reconciler.operations.concurrency import run_all


def test_results_come_in_the_order_of_the_work():
    """Intent: what is fast does not overtake in the result."""

    async def after(steps):
        for _ in range(steps):
            await asyncio.sleep(0)
        return steps

    assert asyncio.run(run_all(after(n) for n in (3, 1, 2))) == [3, 1, 2]


@pytest.mark.parametrize("cancelled", [False, True])
def test_nothing_outlives_a_failure_or_a_cancellation(cancelled):
    """Intent: after an error no request is sent and no connection opened for a result that nobody waits for."""
    ended = []

    async def slow(name):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)  # as closing a connection takes a moment
            ended.append(name)

    async def fails():
        await asyncio.sleep(60 if cancelled else 0)
        raise ValueError("the first error")

    async def main():
        work = asyncio.create_task(run_all([slow("a"), fails(), slow("b")]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if cancelled:
            work.cancel()
        with pytest.raises(asyncio.CancelledError if cancelled else ValueError):
            await work
        assert sorted(ended) == ["a", "b"]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
