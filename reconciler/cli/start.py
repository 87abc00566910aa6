"""The ``reconciler`` command's way in: what comes before Ctrl-C is heard is as little as possible."""

from __future__ import annotations

import gc
import os
import signal
from typing import Final, NoReturn

COLLECTOR: Final = (100_000, 20, 20)
"""Garbage collection thresholds: there are almost no cycles, and looking for them took a seventh of a plan's time."""


def main() -> NoReturn:
    """Import the command line, without a traceback if that is interrupted, and run it."""
    gc.set_threshold(*COLLECTOR)
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # else it is ignored, as for a job in the background
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from reconciler.cli.main import main as run  # noqa: PLC0415  takes most of the start

    signal.signal(signal.SIGINT, usual)
    run()
