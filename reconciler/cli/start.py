"""The ``reconciler`` command's way in and out: what comes before Ctrl-C is heard, and after all is done, is as little as
possible.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from typing import Final, NoReturn

COLLECTOR: Final = (100_000, 20, 20)
"""Garbage collection thresholds: there are almost no cycles, and looking for them took a seventh of a plan's time."""


def main() -> NoReturn:
    """Import the command line, without a traceback if that is interrupted, run it, and end the process.

    :func:`reconciler.cli.main.main` ends as Python does, for profilers.
    """
    gc.set_threshold(*COLLECTOR)
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # else it is ignored, as for a job in the background
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    from reconciler.cli.main import main as run  # noqa: PLC0415  takes most of the start

    signal.signal(signal.SIGINT, usual)
    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, int):
            _leave(end.code)
        raise


def _leave(code: int) -> None:
    """End now. All is closed, and Python would free every object one by one, which took a twentieth of a plan's time.

    Where output is left that can't be written, Python ends the process, and says so.
    """
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
