"""What a life replaces is replaced for its own thread: tests run servers in others."""

import asyncio
import threading

from tests.simulation.campaign import many


def test_a_life_leaves_other_threads_their_loops():
    wrong, ended = [], threading.Event()

    async def serve():
        loop = asyncio.get_running_loop()
        while not ended.is_set():
            await asyncio.sleep(0.0001)
            if asyncio.get_running_loop() is not loop:
                wrong.append(asyncio.get_running_loop())

    def run():
        try:
            asyncio.run(serve())
        except RuntimeError as error:
            wrong.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        many(range(10))
    finally:
        ended.set()
        thread.join()
    assert not wrong
