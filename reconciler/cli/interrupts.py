"""SIGINT and SIGTERM while applying: the first asks to stop, the second stops at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

from reconciler.cli.console import Console


@contextlib.contextmanager
def stopping(console: Console) -> Iterator[asyncio.Event]:
    """An event that the first signal sets: no new calls, those under way finish and are written down."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        console.note(
            "Stopping: calls under way are finished and written down. "
            "Run the same command again to go on. A second interrupt stops at once."
        )

    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """While the loop does not run, for it asks or waits for the lock, it hears no signal: each ends the command."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
