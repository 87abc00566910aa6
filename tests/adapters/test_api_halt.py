"""Stopping: all that waits ends once the time is up."""

import asyncio

import pytest

from reconciler.adapters.api.halt import Halt
from reconciler.model.errors import HaltedError


def test_what_waits_ends_in_the_order_in_which_it_began():
    # Intent: what a run says and writes when it is stopped does not depend on where its objects are in memory.
    async def main():
        halt, ended = Halt(), []

        async def wait(number):
            with pytest.raises(HaltedError):
                async with halt.waiting():
                    await asyncio.Event().wait()
            ended.append(number)

        waiting = [asyncio.create_task(wait(number)) for number in range(30)]
        await asyncio.sleep(0)
        halt.set(asyncio.get_running_loop().time(), "stopped")
        await asyncio.gather(*waiting)
        return ended

    assert asyncio.run(main()) == [*range(30)]
