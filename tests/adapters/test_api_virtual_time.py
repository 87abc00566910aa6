from __future__ import annotations

import asyncio
import time

import pytest

from tests.virtual_time import run


def test_sleeping_an_hour_takes_a_virtual_hour():
    async def main() -> float:
        await asyncio.gather(*(asyncio.sleep(seconds) for seconds in (3600, 10, 0.5)))
        return asyncio.get_running_loop().time()

    assert run(main()) == 3600


def test_timers_fire_in_order_and_at_their_time():
    async def main() -> list[tuple[str, float]]:
        loop, seen = asyncio.get_running_loop(), []

        async def at(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append((name, loop.time()))

        await asyncio.gather(at("late", 7.25), at("early", 0.1), at("middle", 3))
        return seen

    assert run(main()) == [("early", 0.1), ("middle", 3), ("late", 7.25)]


def test_timeouts_expire_in_virtual_time():
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        assert asyncio.get_running_loop().time() == 30

    run(main())


def test_time_stands_still_while_a_thread_works():
    async def main() -> float:
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.05)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0


def test_time_stands_still_while_bytes_move_between_sockets_of_this_process():
    async def main() -> float:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(1_000_000))
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server, asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(bytes(1_000_000))
            assert len(await reader.read()) > 0
            writer.close()
        return asyncio.get_running_loop().time()

    assert run(main()) == 0
