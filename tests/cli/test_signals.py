"""What a signal does to a command, wherever it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.project_files import ROOT

START = """
import asyncio, itertools, os, signal, threading, time
from reconciler.cli.interrupts import run

async def work():
    for _ in range(5):
        await asyncio.sleep(0)
    await asyncio.sleep({seconds})
    return "done"
"""
RUN = """
try:
    print(run(work()))
except KeyboardInterrupt:
    print("interrupted")
"""


def outcome(code: str, *, seconds: float = 60, setting: str = "default_int_handler") -> str:
    """What a process prints that runs the code and then the work; its exit code, if that is another than 0."""
    usual = f"for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.{setting})\n"
    whole = START.format(seconds=seconds) + usual + code + RUN
    argv = [sys.executable, "-c", whole]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert not done.stderr, done.stderr
    return done.stdout.strip() or str(done.returncode)


BEFORE_THE_CALLBACK = """
original, count = asyncio.events.Handle._run, itertools.count(1)

def _run(self):
    if next(count) == {at}:
        signal.raise_signal(signal.{name})
    original(self)

asyncio.events.Handle._run = _run
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("at", range(1, 7))
def test_a_signal_between_two_callbacks_of_the_loop_ends_the_work(name, at):
    # Intent: SIGTERM raised an exception when the loop had a task's next step in hand: the task never ended, nor did the run.
    assert outcome(BEFORE_THE_CALLBACK.format(at=at, name=name)) == "interrupted"


WHILE_IT_WAITS = """
threading.Timer(0.3, os.kill, (os.getpid(), signal.{name})).start()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_while_the_loop_waits_ends_the_work(name):
    # Intent: the usual case.
    assert outcome(WHILE_IT_WAITS.format(name=name)) == "interrupted"


BUSY = """
async def work():
    await asyncio.sleep(0)
    for name in ("{first}", "{second}"):
        signal.raise_signal(getattr(signal, name))
    return "done"
"""


@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT"), ("SIGTERM", "SIGTERM")])
def test_a_second_signal_ends_a_process_whose_loop_is_busy(first, second):
    # Intent: nobody has to kill it.
    assert outcome(BUSY.format(first=first, second=second)) == "130"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_signals_that_are_ignored_stay_ignored(name):
    # Intent: Ctrl-C is not for a job in the background.
    assert outcome(WHILE_IT_WAITS.format(name=name), seconds=0.6, setting="SIG_IGN") == "done"


STUBBORN = """
async def work():
    try:
        await asyncio.sleep(60)
    finally:
        time.sleep(60)  # as a name server that does not answer

threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
threading.Timer(0.9, os.kill, (os.getpid(), signal.SIGTERM)).start()
"""


def test_a_second_signal_ends_a_process_that_is_stuck_while_it_ends():
    # Intent: what does not end by itself is ended.
    assert outcome(STUBBORN) == "130"


ASKED = """
asked = asyncio.Event()

async def work():
    await asked.wait()
    return "stopped"

threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
run_ = run
run = lambda work: run_(work, on_signal=asked.set)
"""


def test_work_that_is_asked_to_stop_is_not_canceled():
    # Intent: what an apply has under way is finished and recorded.
    assert outcome(ASKED) == "stopped"


AFTERWARDS = """
run(asyncio.sleep(0))
assert all(signal.getsignal(number) is signal.default_int_handler for number in (signal.SIGINT, signal.SIGTERM))
"""


def test_signals_do_afterwards_what_they_did_before():
    # Intent: a command that goes on after its calls still ends by Ctrl-C.
    assert outcome(AFTERWARDS, seconds=0) == "done"
