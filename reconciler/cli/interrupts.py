"""SIGINT and SIGTERM while applying: the first asks to stop, the second stops at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import click

from reconciler.cli.console import Console
from reconciler.cli.reference import INTERRUPTED
from reconciler.model.errors import UsageError


@contextlib.contextmanager
def stop_on_signal(console: Console) -> Iterator[asyncio.Event]:
    """An event that the first signal sets: no new calls start; those under way finish and are recorded."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(INTERRUPTED)
        stop.set()
        console.note(
            "Stopping: waiting for calls under way. "
            "Run the same command again to continue. Interrupt again to stop at once."
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
def default_signals() -> Iterator[None]:
    """Let signals end the command while the event loop is blocked, by a question or the lock, and hears none."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ask(console: Console, question: str, *, otherwise: str, instead: str = "Use `--auto-approve`.") -> bool:
    """Ask on the terminal. Raises UsageError without one: what is ``otherwise``, and what to use ``instead``."""
    if not console.interactive:
        raise UsageError(f"can't ask for approval without a terminal: {otherwise}", instead)
    with default_signals():
        return click.confirm(question, err=True)
