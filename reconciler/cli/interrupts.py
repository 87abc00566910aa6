"""SIGINT and SIGTERM: the first asks a command to end, the second ends it at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Final, TypeVar

import click

from reconciler.cli.console import Console
from reconciler.cli.reference import INTERRUPTED
from reconciler.model.errors import UsageError

_T = TypeVar("_T")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def run(work: Coroutine[object, object, _T], *, on_signal: Callable[[], None] | None = None) -> _T:
    """Run it on an event loop. The first signal calls ``on_signal``, or else cancels the work.

    The loop hears signals between its callbacks. An exception that a signal raises anywhere, as Python does by itself, may
    come when the loop has taken a callback and not yet called it: the task behind it then never ends, nor does closing
    the loop.

    Raises KeyboardInterrupt if the work was canceled.
    """
    task: asyncio.Task[_T] | None = None
    early = canceled = False

    def first() -> None:
        nonlocal early, canceled
        if task is None:
            early = True
        elif not task.done():
            canceled = on_signal is None
            (on_signal or task.cancel)()

    async def interruptible() -> _T:
        nonlocal task
        task = asyncio.current_task()
        if early:
            first()
        return await work

    with _heard_signals() as heard, asyncio.Runner() as runner:
        for number in heard:
            runner.get_loop().add_signal_handler(number, first)
            signal.signal(number, partial(_end_at_the_next, heard))  # besides: the next need not wait for a busy loop
        try:
            return runner.run(interruptible())
        except asyncio.CancelledError:
            if canceled:
                raise KeyboardInterrupt from None
            raise


@contextlib.contextmanager
def _heard_signals() -> Iterator[list[signal.Signals]]:
    """Those that are not ignored, as SIGINT is for a job in the background; afterwards they do what they did before."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]
    try:
        yield heard
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _end_at_the_next(heard: Iterable[signal.Signals], *_: object) -> None:
    for number in heard:
        signal.signal(number, lambda *_: os._exit(INTERRUPTED))


def ask_to_stop(console: Console, stop: asyncio.Event) -> Callable[[], None]:
    """What the first signal does to an apply: no new calls start; those under way finish and are recorded."""

    def on_signal() -> None:
        stop.set()
        console.note(
            "Stopping: waiting for calls under way. "
            "Run the same command again to continue. Interrupt again to stop at once."
        )

    return on_signal


@contextlib.contextmanager
def default_signals() -> Iterator[None]:
    """Let signals end the command while the event loop is blocked, by a question or the lock, and hears none."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in _SIGNALS}
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
