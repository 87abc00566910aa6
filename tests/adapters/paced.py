"""A process that asks an account for its list without end, as several tasks: what its limiter lets through is sent.

``python -m tests.adapters.paced URL NUMBER SECONDS WINDOW TASKS``, the cache folder as for the program. It says that it is
ready, and begins with a line of its input. ``NUMBER`` is the list's offset, so that the server's ledger tells who asked.
``WINDOW``: seconds that are this account's minute.
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from reconciler.adapters.api import ledger
from reconciler.adapters.api.client import ApiClient
from reconciler.adapters.api.ledger_file import LedgerFile, file_name
from reconciler.adapters.api.limiter import RateLimiter
from reconciler.adapters.cache import cache_folder
from reconciler.model.errors import HaltedError

KEY = "es_live_paced"


async def main(url: str, number: int, seconds: float, window: float, tasks: int) -> None:
    ledger.WINDOW, ledger.ROOM = window, window * ledger.ROOM / ledger.WINDOW
    folder = cache_folder(os.environ, Path.cwd())
    limiter = RateLimiter(1000, LedgerFile(folder / "limits", file_name(url, KEY)), print)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    async with ApiClient(url, KEY, limiter=limiter) as api:
        api.halt.set(asyncio.get_running_loop().time() + seconds, "over")

        async def ask() -> None:
            with contextlib.suppress(HaltedError):
                while True:
                    await api.list_projects(offset=number, limit=1)

        await asyncio.gather(*(ask() for _ in range(tasks)))
    limiter.close()


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    who, long, minute, at_once = map(float, numbers)
    asyncio.run(main(where, int(who), long, minute, int(at_once)))
